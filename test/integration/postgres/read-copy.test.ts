import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { connect } from '../../../lib/postgres/connect.ts';
import { readCopy } from '../../../lib/postgres/read-copy.ts';
import { testDatabase } from '../../support/postgres.ts';

async function connected() {
  const database = await testDatabase();
  const client = await connect(database.directUrl);
  return { database, client };
}

it('rows of every length arrive whole and in order, also where each is awaited and notices come between', async () => {
  const { database, client } = await connected();
  await database.query(`create function said(n int) returns text language plpgsql as $$
    begin if n % 100 = 0 then raise notice 'at %', n; end if; return repeat(chr(97 + n % 26), (n * 7919) % 1000); end $$`);
  const query = `select said(i) from generate_series(1, 3000) i union all select repeat('x', 3000000)`;
  const parts: Buffer[] = [];
  let calls = 0;
  const take = (chunk: Buffer, start: number, end: number) => {
    parts.push(Buffer.from(chunk.subarray(start, end)));
    return ++calls % 3 === 0 ? setImmediate() : undefined;
  };
  await readCopy(client, `copy (${query}) to stdout`, take);
  const { rows } = await client.query<{ all: string }>({ text: `${query}`, rowMode: 'array' } as never);
  expect(Buffer.concat(parts).toString()).toBe(
    (rows as unknown as string[][]).map(([row]) => `${row}\n`).join(''),
  );
  await client.end();
});

it('where the taker fails, at once or later, its error is thrown and the connection serves the next query', async () => {
  const { client } = await connected();
  for (const fail of [
    () => {
      throw new Error('taken enough');
    },
    () => Promise.reject(new Error('taken enough')),
  ]) {
    await expect(
      readCopy(client, `copy (select repeat('x', 1000) from generate_series(1, 5000)) to stdout`, fail),
    ).rejects.toThrow('taken enough');
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  }
  await client.end();
});

it('what the server refuses, before the first row or behind some, is thrown as pg throws it', async () => {
  const { client } = await connected();
  const take = () => undefined;
  await expect(readCopy(client, 'copy nothing to stdout', take)).rejects.toMatchObject({ code: '42P01' });
  await expect(
    readCopy(client, 'copy (select 1 / (50000 - i) from generate_series(1, 60000) i) to stdout', take),
  ).rejects.toMatchObject({ code: '22012' });
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await client.end();
});

it('a connection that dies in the middle ends the reading', async () => {
  const { database, client } = await connected();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  let killed: Promise<unknown> | undefined;
  await expect(
    readCopy(client, `copy (select repeat('x', 1000) from generate_series(1, 1000000)) to stdout`, () => {
      killed ??= database.query('select pg_terminate_backend($1)', [rows[0]!.pid]);
      return undefined;
    }),
  ).rejects.toThrow();
  await killed;
});
