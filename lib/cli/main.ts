#!/usr/bin/env node
import nodeModule from 'node:module';
import { EXIT } from './exit.ts';
import { processIo } from './io.ts';
import { runCommandLine } from './program.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(
    `error: skytools needs Node.js 22.15 or newer; this is ${process.versions.node} (NODE_TOO_OLD)\n`,
  );
  process.exit(EXIT.usage);
}

nodeModule.enableCompileCache();

// A reader that has seen enough (`skytools event peek q | head`) closes the pipe: that is no fault.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    throw error;
  });
}

/** Time for a command to stop by itself after Ctrl-C, in milliseconds; PostgreSQL rolls back what was open. */
const GRACE_MS = 2_000;

const code = await runCommandLine(process.argv.slice(2), processIo(), (interrupt) => {
  let interrupted = false;
  process.on('SIGINT', () => {
    if (interrupted) process.exit(EXIT.interrupted);
    interrupted = true;
    if (interrupt()) return;
    setTimeout(() => process.exit(EXIT.interrupted), GRACE_MS).unref();
  });
});

// Output to a pipe is written later; and a function that was invoked keeps its connections, which would keep us alive.
await Promise.all(
  [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((done) => stream.write('', () => done())),
  ),
);
process.exit(code);
