// The commands that PostgreSQL starts for every segment: an entry of its own, which loads nothing else.
import { fetchCommand } from './fetch/command.ts';
import { pushCommand } from './push/command.ts';

const words = process.argv.slice(2);
const command = words[1] === 'push' ? pushCommand : fetchCommand;
process.exitCode = await command(words);
