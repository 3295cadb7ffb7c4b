import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { missingClassicParts } from '../../support/classic-pgq.ts';
import { testDatabase } from '../../support/postgres.ts';

const missing = missingClassicParts();
if (missing.length > 0) console.error(`LEFT OUT: the original's Python consumers: ${missing.join(', ')}`);

test.skipIf(missing.length > 0)(
  "every kind of consumer of the original's Python framework sees every event once, a retried one twice",
  async () => {
    const [source, target] = [await testDatabase(), await testDatabase()];
    const directory = await mkdtemp(path.join(tmpdir(), 'pgq-clients-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const script = path.join(import.meta.dirname, '../../support/pgq-clients.py');
    const { stdout } = await promisify(execFile)('/usr/bin/python3', [
      script,
      connectString(source.directUrl),
      connectString(target.directUrl),
      directory,
    ]);

    const events = [
      ['one', null],
      ['again', null],
      [`bulk\t'\\`, null],
    ];
    const retried = [...events, ['again', 1]];
    expect(JSON.parse(stdout)).toEqual({
      seen: {
        plain: retried,
        eager: retried,
        filtered: [events[0], events[2]],
        collecting: retried,
        member1: retried,
        remote: events,
        serial: events,
        local: events,
      },
      // the consumer of the members, as in the original
      left: ['coop'],
    });
  },
);

/** The classic form of a URL, in which the framework's configuration files have it. */
function connectString(url: string): string {
  const { hostname, port, username, pathname } = new URL(url);
  return `host=${hostname} port=${port} user=${username} dbname=${pathname.slice(1)}`;
}
