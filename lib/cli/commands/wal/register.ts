import type { Cli } from '../../cli.ts';
import { registerBackupCommands } from './backup.ts';
import { registerInspectCommands } from './inspect.ts';
import { registerRestoreCommand } from './restore.ts';
import { registerSegmentCommands } from './segments.ts';
import { registerSetupCommands } from './setup.ts';

/** `skytools wal …`: WAL archive, base backups, recovery. */
export function registerWalCommands(cli: Cli): void {
  const wal = cli.group('wal', 'WAL archive in S3, base backups, point-in-time recovery');
  registerSetupCommands(cli, wal);
  registerSegmentCommands(cli, wal);
  registerBackupCommands(cli, wal);
  registerInspectCommands(cli, wal);
  registerRestoreCommand(cli, wal);
}
