import { parseArgs } from 'node:util';
import { errorMessage } from '../../lib/platform/errors.ts';
import { drill } from './drill.ts';

const USAGE = `usage: npm run drill -- [--minutes 2] [--seed N]

Runs the whole stack on this machine and disturbs it at random for so many minutes, then checks that every
committed event was delivered, in order, that replicas are equal and that the archive can be restored.
The same seed plans the same faults.
`;

/** Violations that are printed; the rest are counted. */
const SHOWN = 20;

function readOptions(): { minutes: number; seed: number } {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '2' },
        seed: { type: 'string' },
        help: { type: 'boolean' },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    const minutes = Number(values.minutes);
    const seed = values.seed === undefined ? Math.floor(Math.random() * 1e6) : Number(values.seed);
    if (!(minutes > 0 && minutes <= 24 * 60)) throw new Error('--minutes is not a number from 0 to 1440');
    if (!Number.isSafeInteger(seed) || seed < 0) throw new Error('--seed is not a whole number');
    return { minutes, seed };
  } catch (error) {
    process.stderr.write(`${errorMessage(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

const { minutes, seed } = readOptions();
const say = (text: string) => void process.stdout.write(`${text}\n`);
const again = `npm run drill -- --minutes ${minutes} --seed ${seed}`;
say(`seed ${seed}`);
try {
  const { violations, faults, deliveries, ...result } = await drill({ seconds: minutes * 60, seed, say });
  say(`\nfaults: ${JSON.stringify(faults, null, 1)}`);
  say(
    `${result.transactions} transactions, ${result.committed} committed (${result.unanswered} without an answer), ${result.events} events`,
  );
  say(
    `delivered: ${Object.entries(deliveries)
      .map(([consumer, count]) => `${consumer} ${count}`)
      .join(', ')}`,
  );
  for (const { kind, where, what } of violations.slice(0, SHOWN))
    say(`VIOLATION ${kind} (${where}): ${what}`);
  if (violations.length > 0) {
    say(`\n${violations.length} violations; again: ${again}`);
    process.exitCode = 1;
  } else say('\nevery promise was kept');
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : errorMessage(error)}\nagain: ${again}\n`);
  process.exitCode = 1;
}
