import { describe, expect, it } from 'vitest';
import { removeTable, resyncTable } from '../../../lib/londiste/admin/tables.ts';
import { copyStep } from '../../../lib/londiste/copy/copy.ts';
import type { NodeScope } from '../../../lib/londiste/place.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { BusyError } from '../../../lib/platform/errors.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { type Cascade, cascade, QUEUE, rowsOf } from './cascade.ts';

/* Two invocations at one copy, one of which knows it as it was: frozen, late, or just between two statements. */

/** Small chunks, so that a few hundred rows make several. */
const CHUNKS = { chunkBytes: 8192 };

const step = (set: Cascade) => copyStep(set.scope, set.leaf.name, QUEUE, 'public.item');
const ranges = async (set: Cascade) =>
  (await set.leaf.query<{ ranges: string }>('select ranges from londiste.copy_job order by job_id')).map(
    (row) => row.ranges,
  );
const state = async (set: Cascade) =>
  (await set.leaf.query<{ s: string | null }>('select merge_state as s from londiste.table_info'))[0]!.s;
const settle = async (set: Cascade) => {
  await set.copy();
  await set.tick();
  await set.replay();
};
const resync = (set: Cascade) =>
  set.scope.database(set.leaf.name, (client) => resyncTable(set.scope, client, QUEUE, 'item'));

/** A set with a table of some chunks; planned, and two of them copied. */
const begun = async (more = '') => {
  const set = await cascade(['leaf'], CHUNKS);
  for (const node of set.nodes)
    await node.query(`create table item (id int primary key, name text, code int); ${more}`);
  await set.root.query(`insert into item select i, repeat('n', 100), i from generate_series(1, 200) i`);
  await set.add('item');
  for (let n = 0; n < 3; n++) await step(set);
  return set;
};
/** Steps until one of them did this. */
const until = async (set: Cascade, wanted: string) => {
  for (let did = ''; did !== wanted; did = (await step(set)).did.step);
};
const intact = async (set: Cascade) => {
  await settle(set);
  expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
  const indexes = `select indexdef from pg_indexes where tablename = 'item' order by 1`;
  expect(await set.leaf.query(indexes)).toEqual(await set.root.query(indexes));
};

/** A scope in which something happens once, right before or behind the first statement to a database that matches. */
const interrupted = (
  set: Cascade,
  at: TestDatabase,
  when: 'before' | 'behind',
  statement: RegExp,
  meanwhile: () => Promise<unknown>,
): { scope: NodeScope; happened: () => boolean } => {
  let happened = false;
  const scope: NodeScope = {
    ...set.scope,
    database: (name, body) =>
      set.scope.database(name, (client) => {
        const query = client.query.bind(client) as unknown as (...parameters: unknown[]) => Promise<unknown>;
        const around = async (parameters: unknown[]) => {
          happened = true;
          if (when === 'before') await meanwhile();
          const answer = await query(...parameters);
          if (when === 'behind') await meanwhile();
          return answer;
        };
        client.query = ((...parameters: unknown[]) =>
          name === at.name && !happened && statement.test(`${parameters[0]}`)
            ? around(parameters)
            : query(...parameters)) as typeof client.query;
        return body(client);
      }),
  };
  return { scope, happened: () => happened };
};

/** Until a session of the database waits for a lock, or the work is over. */
const waitsOrEnds = async (at: TestDatabase, work: Promise<unknown>) => {
  let over = false;
  work.then(
    () => (over = true),
    () => (over = true),
  );
  const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  while (!over && (await at.query(waiting)).length === 0);
};

describe('a worker that was frozen between reading the plan and its step', () => {
  /** A step that goes on after `meanwhile`, with what it read before. */
  const late = async (set: Cascade, meanwhile: () => Promise<unknown>) => {
    let thawed: Promise<unknown> | undefined;
    const scope: typeof set.scope = {
      ...set.scope,
      async database(name, body) {
        if (name === set.root.name) {
          thawed ??= meanwhile();
          await thawed;
        }
        return set.scope.database(name, body);
      },
    };
    await copyStep(scope, set.leaf.name, QUEUE, 'public.item').catch((error) =>
      expect(error).toBeInstanceOf(BusyError),
    );
    expect(await ranges(set)).toHaveLength(1);
  };

  it('copies the chunk of a newer plan by that plan, and leaves no row out', async () => {
    const set = await begun();
    await late(set, async () => {
      await set.root.query(`update item set name = 'changed'`);
      await set.tick();
      await set.root.query(`select londiste.execute_start('${QUEUE}', 'fix', 'select', true);
        select londiste.execute_finish('${QUEUE}', 'fix')`);
      await set.tick();
      await set.replay();
      await until(set, 'copied');
      await set.tick();
      await set.replay();
      await until(set, 'begun-again');
      await until(set, 'planned');
      expect(await ranges(set)).toEqual(['key']);
    });
    await intact(set);
  });

  it('does not hand over a table that is being copied again', async () => {
    const set = await begun();
    await until(set, 'copied');
    await late(set, async () => {
      await settle(set);
      await resync(set);
      await until(set, 'planned');
    });
    await intact(set);
  });

  it('does not forget a copy that has begun again', async () => {
    const set = await begun();
    await until(set, 'copied');
    // As where a worker died after it had handed over.
    await set.leaf.query(`update londiste.table_info set merge_state = 'ok'`);
    await late(set, async () => {
      await resync(set);
      await until(set, 'planned');
    });
    await intact(set);
  });
});

describe('the position of a copy is kept here, and its source follows', () => {
  it('where an earlier catch-up finishes its batch there after the next plan has read the position', async () => {
    const set = await begun();
    await until(set, 'copied');
    await set.root.query(`update item set name = 'changed' where id < 20`);
    await set.tick();
    await set.replay();
    const stale = interrupted(set, set.root, 'before', /finish_batch/, async () => {
      await resync(set);
      await until(set, 'planned');
    });
    await copyStep(stale.scope, set.leaf.name, QUEUE, 'public.item').catch((error) =>
      expect(error).toBeInstanceOf(BusyError),
    );
    expect(stale.happened()).toBe(true);
    await set.root.query(`delete from item where id < 10`);
    await intact(set);
  });

  it.each([
    ['was taken off the source', `select pgq.unregister_consumer('${QUEUE}', consumer_name)`, 'in-sync'],
    [
      'stands where its source has forgotten the changes',
      `select pgq.unregister_consumer('${QUEUE}', consumer_name) from pgq.get_consumer_info('${QUEUE}') where consumer_name ~ 'copy';
       delete from pgq.tick where tick_id < (select max(tick_id) from pgq.tick); select 1`,
      'begun-again',
    ],
  ])('where its consumer %s', async (_name, statement, did) => {
    const set = await begun();
    await until(set, 'copied');
    await set.tick();
    await set.replay();
    await set.root.query(`${statement} from pgq.get_consumer_info('${QUEUE}') where consumer_name ~ 'copy'`);
    expect((await step(set)).did.step).toBe(did);
    await set.root.query(`update item set name = 'changed' where id < 20`);
    await intact(set);
  });
});

describe('an old worker that comes back', () => {
  /** Every state that the table has been in from now on. */
  const watched = (set: Cascade) =>
    set.leaf.query(`create table seen (nr serial, state text);
      create function see() returns trigger language plpgsql as
        'begin insert into public.seen (state) values (new.merge_state); return new; end';
      create trigger see after update of merge_state on londiste.table_info for each row execute function see();
      alter table londiste.table_info enable always trigger see`);
  const seen = async (set: Cascade) =>
    (await set.leaf.query<{ state: string | null }>('select state from seen order by nr')).map(
      (row) => row.state,
    );
  const copyOf = (set: Cascade) =>
    set.leaf.query(`select j.*, j.xmin, t.merge_state, h.fault,
        (select count(*) from londiste.copy_chunk c where c.job_id = j.job_id and c.done is not null) as done
      from londiste.copy_job j join londiste.table_info t using (queue_name, table_name)
      left join londiste.table_health h using (queue_name, table_name)`);
  /** A step that loses its claim at one statement, and what it changes afterwards: nothing. */
  const comesBack = async (
    set: Cascade,
    at: TestDatabase,
    when: 'before' | 'behind',
    statement: RegExp,
    meanwhile: () => Promise<unknown>,
  ) => {
    let before: unknown;
    const old = interrupted(set, at, when, statement, async () => {
      await meanwhile();
      before = await copyOf(set);
    });
    await copyStep(old.scope, set.leaf.name, QUEUE, 'public.item').catch((error) =>
      expect(error).toBeInstanceOf(BusyError),
    );
    expect(old.happened()).toBe(true);
    expect(await copyOf(set)).toEqual(before);
    expect(before).toHaveLength(1);
  };
  const copiedAgain = async (set: Cascade) => {
    await resync(set);
    await until(set, 'copied');
  };
  /** The copy's consumer stands some ticks before its node. */
  const lagging = async (ticks: number) => {
    const set = await begun();
    await until(set, 'copied');
    for (let n = 0; n < ticks; n++) {
      await set.root.query(`update item set name = name || '.' where id < 20`);
      await set.tick();
    }
    await set.replay();
    return set;
  };

  it('does not stop the node for a copy that has begun again', async () => {
    const set = await lagging(6);
    await watched(set);
    // The first lock that is waited for is that of the node which is to be stopped.
    await comesBack(set, set.leaf, 'before', /for update $/, () => copiedAgain(set));
    expect((await seen(set)).filter((state) => state?.startsWith('do-sync'))).toEqual([]);
    await intact(set);
  });

  it('does not let the node go that another copy has stopped', async () => {
    const set = await lagging(2);
    await comesBack(set, set.root, 'before', /next_batch_custom/, async () => {
      await copiedAgain(set);
      await set.leaf.query(`update londiste.table_info set merge_state = 'do-sync:1'`);
    });
    expect(await state(set)).toBe('do-sync:1');
    await intact(set);
  });

  it.each([
    ['is planned anew', 'planned'],
    ['is copied again', 'copied'],
  ])('does not end the hold of a table that %s', async (_name, did) => {
    const set = await begun();
    await intact(set);
    for (const node of set.nodes) await node.query('alter table item add size int');
    await set.leaf.query('alter table item drop size');
    await set.root.query(`update item set name = 'changed' where id < 20`);
    await set.tick();
    await set.replay();
    expect(await state(set)).toBe('catching-up');
    await set.leaf.query('alter table item add size int');
    await comesBack(set, set.root, 'behind', /finish_batch/, async () => {
      await resync(set);
      await until(set, did);
      await set.leaf.query(`update londiste.table_health set fault = 'of the next copy'`);
    });
    await intact(set);
  });

  it('does not begin a copy again that has begun again', async () => {
    const set = await begun();
    for (const node of [set.leaf, set.root]) await node.query('alter table item add size int');
    await watched(set);
    await comesBack(set, set.leaf, 'before', /update londiste\.copy_job set ranges/, async () => {
      await until(set, 'begun-again');
      await until(set, 'planned');
      for (let n = 0; n < 2; n++) await step(set);
    });
    expect(await seen(set)).toEqual([null, 'in-copy']);
    await intact(set);
  });
});

describe('what is off the table', () => {
  const INDEX = 'create unique index item_code on item (code); create index item_name on item (name)';

  it('is not put back by a catch-up of an earlier plan while chunks are copied', async () => {
    const set = await begun(INDEX);
    await until(set, 'copied');
    const stale = interrupted(set, set.leaf, 'before', /londiste\.put_back/, async () => {
      await resync(set);
      await until(set, 'planned');
    });
    await copyStep(stale.scope, set.leaf.name, QUEUE, 'public.item').catch((error) =>
      expect(error).toBeInstanceOf(BusyError),
    );
    expect(stale.happened()).toBe(true);
    expect(
      await set.leaf.query(
        `select indexrelid::regclass::text as i from pg_index where indrelid = 'item'::regclass`,
      ),
    ).toEqual([{ i: 'item_pkey' }]);
    await intact(set);
  });

  it('has no new plan around it while it is being put back', async () => {
    const set = await begun(INDEX);
    await until(set, 'copied');
    await resync(set);
    const builder = await set.leaf.connect();
    await builder.query(`begin; select from londiste.copy_dropped where kind = 'index' for update`);
    await expect(step(set)).rejects.toBeInstanceOf(BusyError);
    await builder.query('commit');
    await intact(set);
  });

  it('a trigger included, is back before the table is handed over, though every place is taken', async () => {
    const set = await cascade(['leaf'], CHUNKS);
    for (const node of set.nodes)
      await node.query('create table item (id int primary key, name text, code int)');
    await set.leaf.query(`create function note() returns trigger language plpgsql as 'begin return new; end';
      create trigger note before insert on item for each row execute function note();
      create or replace function londiste.can_set_replication_role() returns boolean language sql as 'select false'`);
    const enabled = () => set.leaf.query(`select tgenabled from pg_trigger where tgname = 'note'`);
    await set.root.query(`insert into item select i, repeat('n', 100), i from generate_series(1, 200) i`);
    await set.add('item');
    await until(set, 'copied');
    expect(await enabled()).toEqual([{ tgenabled: 'D' }]);
    const others = await set.leaf.connect();
    await others.query(`begin; select pg_advisory_xact_lock(${0x4c4f4e44}, n) from generate_series(1, 4) n`);
    for (let n = 0; n < 3; n++) {
      await set.tick();
      await set.replay();
      await step(set);
    }
    expect(await state(set)).toBe('catching-up');
    await others.query('commit');
    // Behind its node, which has to wait for it then.
    await set.root.query(`update item set name = 'changed' where id < 20`);
    await set.tick();
    await set.replay();
    await set.tick();
    await set.replay();
    await intact(set);
    expect(await enabled()).toEqual([{ tgenabled: 'O' }]);
  });
});

it('a tick that was in the making when the last rows were read is not taken for one behind them', async () => {
  const set = await begun();
  const ticker = await set.root.connect();
  await ticker.query('begin');
  await ticker.query('select pgq.ticker($1)', [QUEUE]);
  await set.root.query(`insert into item values (1000, 'new', 1); delete from item where id = 1`);
  const copied = (async () => {
    await until(set, 'copied');
  })();
  // It asks the source for a tick, and waits for the one in the making.
  await waitsOrEnds(set.root, copied);
  await ticker.query('commit');
  await copied;
  // The node and the copy stand at that tick.
  await replayBatch(set.scope, set.leaf.name, QUEUE);
  await step(set);
  expect(await state(set)).not.toBe('ok');
  await intact(set);
});

it('a batch that saw the table in sync is over before a plan empties the table', async () => {
  const set = await begun();
  await intact(set);
  await set.root.query(`insert into item values (1000, 'gone', 1)`);
  await set.tick();
  await set.root.query(`delete from item where id = 1000`);
  await set.tick();
  let planned: Promise<unknown> | undefined;
  // What it is to write to is read by then.
  const applying = interrupted(set, set.leaf, 'behind', /a\.attidentity as identity/, async () => {
    await resync(set);
    planned = step(set);
    planned.catch(() => {});
    await waitsOrEnds(set.leaf, planned);
  });
  await replayBatch(applying.scope, set.leaf.name, QUEUE);
  expect(applying.happened()).toBe(true);
  await planned;
  await intact(set);
});

it('a table that leaves while its plan waits for it leaves no consumer at the source', async () => {
  const set = await begun();
  await resync(set);
  await set.leaf.query('delete from londiste.copy_job');
  const user = await set.leaf.connect();
  await user.query('begin; select from londiste.table_info for update');
  await expect(step(set)).rejects.toBeInstanceOf(BusyError);
  await user.query('commit');
  const consumers = () =>
    set.root.query(`select from pgq.get_consumer_info('${QUEUE}') where consumer_name ~ 'copy'`);
  expect(await consumers()).toHaveLength(1);
  await set.scope.database(set.leaf.name, (client) => removeTable(set.scope, client, QUEUE, 'item'));
  expect(await consumers()).toEqual([]);
});
