import type { CommandContext } from '../../context.ts';

/** A bar on a terminal, nothing elsewhere. */
export async function progressBar(
  context: CommandContext,
  what: string,
): Promise<{ update: (done: number, total: number) => void; stop: () => void }> {
  if (!context.io.stderr.isTTY || context.options.quiet || context.json)
    return { update: () => {}, stop: () => {} };
  const { default: progress } = await import('cli-progress');
  const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
  const bar = new progress.SingleBar(
    {
      format: `${what} {bar} {percentage}% {value}/{total} MiB, {duration_formatted}`,
      hideCursor: true,
      clearOnComplete: true,
    },
    progress.Presets.shades_classic,
  );
  let started = false;
  return {
    update: (done, total) => {
      if (!started) bar.start(mib(total), mib(done));
      else bar.update(mib(done));
      started = true;
      bar.setTotal(mib(total));
    },
    stop: () => bar.stop(),
  };
}
