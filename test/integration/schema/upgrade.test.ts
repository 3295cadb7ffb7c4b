import { expect, it } from 'vitest';
import { catalogue } from '../../support/catalogue.ts';
import { skytools } from '../../support/cli.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

/* An installation made by an earlier state of the project is, after an install, what a fresh one is. */

/** What was otherwise once, of an installation of today. */
const EARLIER = {
  'copies without a number of their own': `
    drop table londiste.copy_order, londiste.copy_dropped, londiste.copy_chunk, londiste.copy_job;
    create table londiste.copy_job (
        queue_name text not null, table_name text not null, consumer_name text not null, source_node text not null,
        started timestamptz not null default now(), source_bytes int8, until_tick int8,
        constraint copy_job_pkey primary key (queue_name, table_name),
        constraint copy_job_table_fkey foreign key (queue_name, table_name)
            references londiste.table_info (queue_name, table_name) on delete cascade);
    create table londiste.copy_chunk (
        queue_name text not null, table_name text not null, nr int4 not null, lower_key text[], upper_key text[],
        done timestamptz, rows int8, bytes int8,
        constraint copy_chunk_pkey primary key (queue_name, table_name, nr),
        constraint copy_chunk_job_fkey foreign key (queue_name, table_name)
            references londiste.copy_job (queue_name, table_name) on delete cascade);
    insert into londiste.copy_job select queue_name, table_name, 'copy', 'n1' from londiste.table_info`,
  'copies without the snapshot of their last chunk': `
    alter table londiste.copy_job drop until_snapshot;
    create function londiste.take_off_structure(int8, boolean) returns void language sql as ''`,
  'tables of the original before 3.8': `
    alter table londiste.table_info drop dest_table;
    alter table londiste.applied_execute drop execute_attrs`,
  'first events without their tick': `
    alter table pgq._first_event_tick drop tick_id;
    insert into pgq._first_event_tick select queue_id from pgq.queue`,
  'queues before circuits, slots and delayed events': `
    drop table pgq.consumer_circuit, pgq.key_slot, pgq.delayed_event, pgq.event_key;
    create function pgq._insert_ticks(integer[]) returns void language sql as ''`,
};

/** A leaf with a table that is being copied. */
const copying = async () => {
  const database = await testDatabase();
  await database.query(`select pgq_node.register_location('set', 'n1', 'here', false);
    select pgq_node.register_location('set', 'n2', 'there', false);
    select pgq_node.create_node('set', 'leaf', 'n2', 'worker', 'n1', 1, null);
    insert into londiste.table_info (queue_name, table_name, local, merge_state, dropped_ddl)
      values ('set', 'public.item', true, 'in-copy', 'create index item_name on item (name)')`);
  return database;
};
const install = async (database: TestDatabase) => {
  const { code, stderr } = await skytools(['install', '--url', database.url]);
  expect(code, stderr).toBe(0);
};

it.each(Object.entries(EARLIER))('nothing is left of %s', async (_name, statements) => {
  const database = await copying();
  const fresh = await catalogue(database);
  await database.query(statements);
  expect(await catalogue(database)).not.toEqual(fresh);
  await install(database);
  expect(await catalogue(database)).toEqual(fresh);
});

it('a table whose copy an earlier state began is copied again, and gets its indexes back', async () => {
  const database = await copying();
  await database.query(EARLIER['copies without a number of their own']);
  await install(database);
  expect(await database.query('select merge_state, dropped_ddl from londiste.table_info')).toEqual([
    { merge_state: null, dropped_ddl: 'create index item_name on item (name)' },
  ]);
});
