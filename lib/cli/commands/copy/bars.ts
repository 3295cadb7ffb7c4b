import type { CopyProgress } from '../../../londiste/copy/progress.ts';
import type { CommandContext } from '../../context.ts';
import { formatBytes, formatSeconds } from '../../output.ts';

/** What is going on with a copy, in words. */
export function describeCopy(copy: CopyProgress): string {
  if (copy.state === 'building' || copy.state === 'catching-up') {
    const index = copy.index === null ? '' : `, ${copy.index} ${copy.indexPercent ?? 0}%`;
    return `${copy.rows} rows; indexes ${copy.droppedDone}/${copy.dropped}${index}`;
  }
  const left = copy.secondsLeft === null ? '' : `, about ${formatSeconds(copy.secondsLeft)} left`;
  return `${copy.rows} rows, ${formatBytes(copy.bytes)}${left}`;
}

/** A bar for each copy on a terminal, nothing elsewhere. */
export async function copyBars(
  context: CommandContext,
): Promise<{ update: (copies: readonly CopyProgress[]) => void; stop: () => void }> {
  if (!context.io.stderr.isTTY || context.options.quiet || context.json)
    return { update: () => {}, stop: () => {} };
  const { default: progress } = await import('cli-progress');
  const bars = new progress.MultiBar(
    { format: '{table} {bar} {percentage}% {what}', hideCursor: true, stream: process.stderr },
    progress.Presets.shades_classic,
  );
  const known = new Map<bigint, ReturnType<typeof bars.create>>();
  return {
    update: (copies) => {
      for (const copy of copies) {
        const shown = { table: copy.dest, what: describeCopy(copy) };
        const bar = known.get(copy.job) ?? bars.create(100, 0, shown);
        known.set(copy.job, bar);
        bar.update(Math.floor(copy.percent ?? 0), shown);
      }
    },
    stop: () => bars.stop(),
  };
}
