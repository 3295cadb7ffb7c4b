import { describe, expect, it } from 'vitest';
import { type Batch, configureQueue, consumeBatch, forceTick, Producer } from '../../../lib/pgq/index.ts';
import { transaction } from '../../../lib/postgres/transaction.ts';
import { minute, ourClient, queueDatabase } from './support.ts';

const c = { queue: 'q', consumer: 'c' };
const awkward = ['plain', '', 'tab\tline\nback\\slash', '\\N', 'é€😀', null];

describe('Producer', () => {
  it('inserts in bulk what insert_event would: ids in order, ev_txid its own, every value as it was', async () => {
    const { db, client } = await queueDatabase();
    const producer = new Producer('q');
    const events = awkward.flatMap((data) => awkward.map((extra1) => ({ type: 't', data, extra1 })));
    const inserted = await transaction(client, async () => {
      expect(await producer.insert(client, { type: 'single', data: null })).toBe(1n);
      return producer.insertMany(client, events);
    });
    expect(inserted).toBe(36);
    expect(
      await db.query(
        'select count(distinct ev_txid)::int as n, max(ev_id)::int as last from pgq.event_template',
      ),
    ).toEqual([{ n: 1, last: 37 }]);
    await forceTick(client, 'q', minute());
    const seen: unknown[] = [];
    await consumeBatch(
      client,
      c,
      {
        async handleBatch(batch: Batch) {
          await batch.deliver(
            (event) => event.type === 't' && seen.push({ type: 't', data: event.data, extra1: event.extra1 }),
          );
        },
      },
      minute(),
    );
    expect(seen).toEqual(events);
  });

  it('leaves no event of a transaction that rolls back, or of a source that fails', async () => {
    const { db, client } = await queueDatabase();
    async function* failing() {
      for (let i = 0; i < 20_000; i++) yield { type: 't', data: 'x'.repeat(50) };
      throw new Error('source failed');
    }
    await expect(
      transaction(client, () => new Producer('q').insertMany(client, failing())),
    ).rejects.toThrow();
    expect(await db.query('select count(*)::int as n from pgq.event_template')).toEqual([{ n: 0 }]);
    expect(await client.query('select 1 as alive')).toMatchObject({ rows: [{ alive: 1 }] });
  });

  it('goes through insert_event where the role may not write event tables, and keeps the limit per transaction', async () => {
    const { db, client } = await queueDatabase();
    const admin = await ourClient(db.superuserUrl);
    const role = `writer_${db.name}`;
    await admin.query(`create role ${role} login in role pgq_writer`);
    const url = new URL(db.url);
    url.username = role;
    const writer = await ourClient(url.href);
    const producer = new Producer('q');
    const events = Array.from({ length: 7_000 }, (_, index) => ({ type: 't', data: String(index) }));
    expect(await transaction(writer, () => producer.insertMany(writer, events))).toBe(7_000);
    expect(
      await db.query(
        `select count(*)::int as n from (select ev_data::int - ev_id as gap from pgq.event_template) e where gap <> -1`,
      ),
    ).toEqual([{ n: 0 }]);
    await db.query(`update pgq.queue set queue_per_tx_limit = 5`);
    await expect(transaction(client, () => producer.insertMany(client, events))).rejects.toThrow(
      /allows max 5 events/,
    );
    await writer.end();
    await admin.query(`drop role ${role}`);
  });

  it('loses nothing to a rotation that runs between its two statements', async () => {
    const { db, client } = await queueDatabase();
    await configureQueue(client, 'q', { rotationPeriodSeconds: 0 });
    const other = await ourClient(db.url);
    const producer = new Producer('q');
    let expected = 0;
    let seen = 0;
    const drain = async () => {
      await forceTick(other, 'q', minute());
      for (;;) {
        const result = await consumeBatch(other, c, { handleEvent: () => void seen++ }, minute());
        if (!result.did) return;
      }
    };
    const rotate = async () => {
      for (const step of [`pgq.maint_rotate_tables_step1('q')`, 'pgq.maint_rotate_tables_step2()'])
        await other.query(`select ${step}`);
    };
    for (let round = 0; round < 6; round++) {
      const events = async function* () {
        yield { type: 't', data: 'first' };
        await rotate();
        yield { type: 't', data: 'second' };
      };
      expected += await transaction(client, () => producer.insertMany(client, events()));
      await drain();
      await rotate();
    }
    await drain();
    expect(seen).toBe(expected);
  });

  it('names the queue that is missing or refuses inserts', async () => {
    const { db, client } = await queueDatabase();
    await expect(new Producer('none').insert(client, { type: 't', data: 'd' })).rejects.toMatchObject({
      code: 'PGQ_QUEUE_MISSING',
    });
    await db.query('update pgq.queue set queue_disable_insert = true');
    const refused = transaction(client, () =>
      new Producer('q').insertMany(client, [{ type: 't', data: 'd' }]),
    );
    await expect(refused).rejects.toMatchObject({ code: 'PGQ_INSERT_DISABLED', subject: { queue: 'q' } });
  });
});
