import { afterAll, beforeAll, expect, test } from 'vitest';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { WalArchive } from '../../../lib/walmgr/archive/archive.ts';
import { takeBackup } from '../../../lib/walmgr/backup/take.ts';
import { pullWal } from '../../../lib/walmgr/pull/pull.ts';
import { startArchive, type TestArchive } from '../../support/archive.ts';
import {
  archived,
  type Cluster,
  checksum,
  recover,
  startCluster,
  stopAll,
  until,
} from '../../support/cluster.ts';

let s3: TestArchive;
let primary: Cluster;
const seen: Record<string, string> = {};
let moment = { time: '', lsn: '', xid: '' };

beforeAll(async () => {
  s3 = await startArchive();
  primary = await startCluster({ archiveCommand: `${s3.command} wal push --archive ${s3.url('main')} %p` });
  await primary.query('create table account (id int primary key, balance int, note text)');
  await primary.query(
    'create table many as select g as id, md5(g::text) as text from generate_series(1, 300000) g',
  );
  await primary.query("insert into account select g, 0, 'before' from generate_series(1, 1000) g");
  await archived(primary);

  const source = await primary.source();
  const archive = await WalArchive.claim(s3.location('main'), await source.identity(), { store: s3.store() });
  const { did, missing } = await takeBackup(archive, source, {
    fast: true,
    waitForWalMs: 60_000,
    volumeBytes: 8 << 20,
  });
  expect(missing).toEqual([]);
  expect(did.volumes.length).toBeGreaterThan(2);
  await source.close();

  await primary.query("update account set balance = balance + id, note = 'after backup'");
  seen.afterBackup = await checksum(primary, 'account');
  await primary.query("select pg_create_restore_point('before_payday')");
  await primary.query('update account set balance = balance + 100');
  await primary.query('select pg_switch_wal()');
  seen.beforeDoubling = await checksum(primary, 'account');
  await primary.query('begin');
  await primary.query('update account set balance = balance * 2');
  const [xid] = await primary.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
  await primary.query('commit');
  seen.beforeDelete = await checksum(primary, 'account');
  // As text, with its microseconds: a Date cuts them off, and the commit above may be of the same millisecond.
  const [now] = await primary.query<{ time: string; lsn: string }>(
    'select clock_timestamp()::text as time, pg_current_wal_insert_lsn()::text as lsn, pg_sleep(0.05)',
  );
  moment = { time: now!.time, lsn: now!.lsn, xid: xid!.xid };
  await primary.query('delete from account where id > 10');
  await archived(primary);
  await primary.query('drop table account');
  await archived(primary);
  await primary.stop('immediate');
});

afterAll(async () => {
  await stopAll();
  await s3.close();
});

test.each([
  ['a time', () => ({ time: moment.time }), 'beforeDelete'],
  ['an lsn', () => ({ lsn: moment.lsn }), 'beforeDelete'],
  ['a transaction', () => ({ xid: moment.xid }), 'beforeDelete'],
  ['a name', () => ({ name: 'before_payday' }), 'afterBackup'],
])(
  'a destroyed cluster comes back to %s with exactly the transactions before it',
  async (_what, target, state) => {
    const copy = await recover(s3, 'main', { target: target() });
    expect(await checksum(copy, 'account')).toBe(seen[state]);
    expect(await copy.query('select count(*)::int as n from many')).toEqual([{ n: 300_000 }]);
    await copy.stop();
  },
);

test('just before a transaction, which is the last one left out', async () => {
  const copy = await recover(s3, 'main', { target: { xid: moment.xid, inclusive: false } });
  expect(await checksum(copy, 'account')).toBe(seen.beforeDoubling);
  await copy.stop();
});

test('without a target everything archived comes back', async () => {
  const copy = await recover(s3, 'main');
  expect(await copy.query("select to_regclass('account') as table")).toEqual([{ table: null }]);
  await copy.stop();
});

test('a target before the first backup is refused with the reason', async () => {
  await expect(recover(s3, 'main', { target: { time: '2000-01-01T00:00:00Z' } })).rejects.toMatchObject({
    code: 'WAL_NO_BACKUP_FOR_TARGET',
  });
});

test('a cluster that was restored once is restored again, to a target of another kind, and as a standby', async () => {
  const copy = await recover(s3, 'main', { target: { xid: moment.xid, inclusive: false } });
  const source = await copy.source();
  const archive = await WalArchive.claim(s3.location('again'), await source.identity(), {
    store: s3.store(),
  });
  const pull = () => pullWal(archive, source, { slot: 'again', deadline: Deadline.after(60_000) });
  await pull();
  await takeBackup(archive, source, { fast: true });
  await copy.query("update account set note = 'copy'");
  const wanted = await checksum(copy, 'account');
  await copy.query("select pg_create_restore_point('once_more')");
  await copy.query('delete from account');
  await pull();
  await source.close();
  await copy.stop();

  const second = await recover(s3, 'again', { target: { name: 'once_more' } });
  expect(await checksum(second, 'account')).toBe(wanted);
  await second.stop();
  const standby = await recover(s3, 'again', { standby: {} });
  await until('the end of the archive', async () => (await checksum(standby, 'account')) === '0 0');
  expect(await standby.query('select pg_is_in_recovery() as yes')).toEqual([{ yes: true }]);
  await standby.stop();
});
