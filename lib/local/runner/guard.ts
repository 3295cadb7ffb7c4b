import { type ChildProcess, spawn } from 'node:child_process';

/**
 * The guard's whole program: it keeps a list of process ids and kills them when its channel closes. A function in a
 * busy loop, or frozen, could not notice by itself that the runner is gone.
 */
const PROGRAM = `
const pids = new Set();
process.on('message', ([verb, pid]) => pids[verb](pid));
process.on('disconnect', () => {
  for (const pid of pids) try { process.kill(pid, 'SIGKILL'); } catch {}
  process.exit();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
`;

/** Ends the processes of functions when this process ends, however it ends. */
export class ProcessGuard {
  private readonly process: ChildProcess;
  private readonly pids = new Set<number>();
  private readonly onExit = (): void => this.killAll();

  constructor() {
    this.process = spawn(process.execPath, ['-e', PROGRAM], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    // Neither its life nor its channel keeps this process running, and its failure must not end it.
    this.process.unref();
    this.process.channel?.unref();
    this.process.on('error', () => undefined);
    process.on('exit', this.onExit);
  }

  add(pid: number): void {
    this.pids.add(pid);
    this.tell('add', pid);
  }

  remove(pid: number): void {
    this.pids.delete(pid);
    this.tell('delete', pid);
  }

  close(): void {
    this.killAll();
    process.off('exit', this.onExit);
    if (this.process.connected) this.process.disconnect();
  }

  private killAll(): void {
    for (const pid of this.pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone already.
      }
    }
  }

  private tell(verb: 'add' | 'delete', pid: number): void {
    if (this.process.connected) this.process.send([verb, pid], () => undefined);
  }
}
