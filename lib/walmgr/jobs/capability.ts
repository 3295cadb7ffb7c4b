import type { DueWorkProvider } from '../../jobs/due-work.ts';
import type { JobMessage } from '../../jobs/messages.ts';
import type { Capability } from '../../jobs/tick-round.ts';
import { Checkpoint } from '../checkpoint.ts';
import { clustersOf } from '../config.ts';

/**
 * The WAL work that a database's tables ask for. Asks nothing of a database where no cluster is checkpointed. A database
 * counts as no more idle than its pulls are apart, so that its ticks come as often; those of one that follows, whose worker
 * may be killed at any moment, come as often as they can.
 */
const walDueWork: DueWorkProvider = async (client, config, database) => {
  const jobs: JobMessage[] = [];
  let idleSeconds: number | undefined;
  for (const [cluster, { source, pull, backup }] of clustersOf(config, database)) {
    if (source === undefined) continue;
    const checkpoint = new Checkpoint(client, cluster);
    if (pull) idleSeconds = Math.min(idleSeconds ?? pull.everySeconds, pull.follow ? 0 : pull.everySeconds);
    if (pull && (await checkpoint.isDue('pull', pull.everySeconds))) {
      jobs.push({ v: 1, kind: 'wal-archive', cluster });
    }
    if (backup && (await checkpoint.isDue('backup', backup.everyHours * 3600))) {
      jobs.push({ v: 1, kind: 'backup', cluster });
    }
  }
  return { jobs, idleSeconds };
};

/** What WAL archiving contributes to the tick of a database that holds its checkpoints. */
export const walCapability: Capability = {
  dueWork: walDueWork,

  async measure(client, config) {
    if (Object.keys(config.walmgr).length === 0) return {};
    const installed = await client.query<{ yes: boolean }>(
      `select to_regclass('walmgr.cluster') is not null as yes`,
    );
    if (!installed.rows[0]!.yes) return {};
    const { rows } = await client.query<{ lag: string | null; age: string | null }>(
      `select extract(epoch from max(i.lag)) as lag,
              extract(epoch from clock_timestamp() - min(i.newest_backup)) as age
         from walmgr.get_cluster_info() i`,
    );
    return {
      ...(rows[0]?.lag == null ? {} : { WalArchiveLagSeconds: Number(rows[0].lag) }),
      ...(rows[0]?.age == null ? {} : { BackupAgeSeconds: Number(rows[0].age) }),
    };
  },
};
