// The commands that PostgreSQL starts for every segment: an entry of its own, which loads nothing else.
import { FETCH_EXIT, fetchCommand } from './fetch/command.ts';
import { pushCommand } from './push/command.ts';

const words = process.argv.slice(2);
/** What the shell script turns into 1; every other failure of `wal fetch`, those of Node.js too, it turns into 255. */
const ABSENT = 100;

if (words[1] === 'push') {
  process.exitCode = await pushCommand(words);
} else {
  const code = await fetchCommand(words);
  process.exitCode = code === FETCH_EXIT.absent ? ABSENT : code;
}
