import { nextChain } from '../../jobs/guards.ts';
import type { JobOf } from '../../jobs/messages.ts';
import type { Wakeup } from '../../jobs/sender.ts';
import type { JobScope } from '../../jobs/worker.ts';
import { errorMessage, SkytoolsError } from '../../platform/errors.ts';
import { logError, logger, logWarning } from '../../platform/logger.ts';
import type { StoredFile } from '../archive/archive.ts';
import { type PullResult, pullWal } from '../pull/pull.ts';
import { verifyUpload } from '../upload/register.ts';
import { whileLeased } from './lease.ts';
import { type ClusterScope, clusterScope, withArchive, withSource } from './scope.ts';

/** One unit of archiving: the registration of an uploaded file, or one pull. */
export async function archiveJob(job: JobOf<'wal-archive'>, scope: JobScope): Promise<readonly Wakeup[]> {
  const cluster = clusterScope(job.cluster, scope);
  if (job.key !== undefined) {
    await registerUpload(cluster, job.key);
    return [];
  }
  const { did, gaps, next } = await pullOnce(cluster, scope);
  logger.info('pulled', { cluster: job.cluster, ...did });
  for (const gap of gaps) {
    logError(
      'wal was lost',
      new SkytoolsError(
        'WAL_GAP',
        `the server had removed wal from ${gap.from} to ${gap.to} before it was archived`,
        {
          hint: 'a new base backup is being asked for; until it is there, recovery ends at the gap',
          subject: { cluster: job.cluster },
        },
      ),
    );
  }
  const chain = next === 'more' || cluster.config.pull?.follow ? nextChain(job.chain, true) : undefined;
  return [
    ...(chain ? [{ job: { ...job, chain } }] : []),
    ...(gaps.length > 0 ? [{ job: { v: 1 as const, kind: 'backup' as const, cluster: job.cluster } }] : []),
  ];
}

async function pullOnce(cluster: ClusterScope, scope: JobScope): Promise<PullResult> {
  return withSource(cluster, (archive, source) =>
    whileLeased(cluster, 'pull', async ({ fence, signal }) => {
      const stored: StoredFile[] = [];
      let result: PullResult | undefined;
      let problem: unknown;
      try {
        result = await pullWal(archive, source, {
          slot: cluster.config.pull?.slot ?? 'skytools_archive',
          follow: cluster.config.pull?.follow ?? false,
          deadline: scope.deadline,
          signal,
          onStored: (file) => void stored.push(file),
        });
      } catch (error) {
        problem = error;
      }
      // What is in the archive is noted after it is there; a call that is lost here costs a wrong figure on the console.
      await cluster.checkpoint(async (checkpoint) => {
        await checkpoint.registerFiles('pull', 'stored', stored);
        for (const gap of result?.gaps ?? []) await checkpoint.registerGap(gap);
        await checkpoint.end('pull', fence!, {
          ...(problem === undefined ? {} : { error: errorMessage(problem) }),
          ...(result === undefined ? {} : { durable: result.did.durable, server: result.did.server }),
        });
      });
      if (!result) throw problem;
      return result;
    }),
  );
}

async function registerUpload(cluster: ClusterScope, key: string): Promise<void> {
  const found = await withArchive(cluster, async (archive) => {
    const upload = await verifyUpload(archive, key);
    if (upload) {
      await cluster.checkpoint((checkpoint) =>
        checkpoint.registerFiles('upload', upload.state, [upload.file]),
      );
    }
    return upload;
  });
  if (!found) {
    logWarning(
      'an uploaded file is gone',
      new SkytoolsError('WAL_UPLOAD_GONE', `${key} is not in the archive any more`, {
        subject: { cluster: cluster.name, key },
        hint: 'somebody deleted it after its upload: skytools wal show tells whether the archive has a gap',
      }),
    );
  } else if (found.problem) logError('an uploaded file is damaged', found.problem);
  else logger.info('registered', { cluster: cluster.name, file: found.file.name });
}
