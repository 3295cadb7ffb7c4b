import type pg from 'pg';
import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import { connect, disconnect } from '../../postgres/connect.ts';
import { hasSqlState, toSkytoolsError } from '../../postgres/errors.ts';
import type { ConnectionTarget } from '../../postgres/target.ts';
import type { ArchiveIdentity } from '../archive/identity.ts';
import { formatLsn, type Lsn, parseLsn } from '../wal/lsn.ts';
import { checkSegmentSize, historyName } from '../wal/name.ts';
import { CopyCommand } from './copy-command.ts';
import { clockToDate, readStreamMessage, statusMessage } from './messages.ts';
import { replicationSocket } from './socket.ts';

/** What IDENTIFY_SYSTEM tells. */
export interface SystemState {
  systemIdentifier: bigint;
  timeline: number;
  /** Everything before is flushed on a primary, received or replayed on a standby. */
  position: Lsn;
}

/** A physical replication slot; positions undefined while it holds nothing back. */
export interface SlotState {
  position: Lsn | undefined;
  timeline: number | undefined;
}

/** Oldest major version whose framing of BASE_BACKUP is spoken here. */
export const OLDEST_MAJOR = 15;

/**
 * How long a server waits for a silent client before it takes its slot back, in milliseconds: short, because a function
 * may be killed at any moment and the next one needs the slot.
 */
const WAL_SENDER_TIMEOUT_MS = 15_000;

/** A physical replication connection to the cluster whose WAL is archived. */
export class ReplicationSource {
  readonly client: pg.Client;

  private constructor(client: pg.Client) {
    this.client = client;
  }

  /** @param applicationName must not be one that `synchronous_standby_names` lists */
  static async connect(
    where: string | ConnectionTarget,
    applicationName: string,
  ): Promise<ReplicationSource> {
    const client = await connect(where, {
      replication: true,
      applicationName,
      stream: replicationSocket,
      settings: { wal_sender_timeout: String(WAL_SENDER_TIMEOUT_MS) },
    });
    return new ReplicationSource(client);
  }

  async close(): Promise<void> {
    await disconnect(this.client);
  }

  async #row(command: string): Promise<Record<string, unknown>> {
    try {
      return (await this.client.query(command)).rows[0] ?? {};
    } catch (error) {
      throw toSkytoolsError(error);
    }
  }

  async show(setting: string): Promise<string> {
    return String((await this.#row(`SHOW ${setting}`))[setting]);
  }

  async identify(): Promise<SystemState> {
    const row = await this.#row('IDENTIFY_SYSTEM');
    return {
      systemIdentifier: BigInt(String(row.systemid)),
      timeline: Number(row.timeline),
      position: parseLsn(String(row.xlogpos)),
    };
  }

  /** What an archive of this cluster has to say about itself. @throws UsageError WAL_VERSION_UNSUPPORTED */
  async identity(): Promise<ArchiveIdentity> {
    const major = Math.floor(Number(await this.show('server_version_num')) / 10_000);
    if (major < OLDEST_MAJOR) {
      throw new UsageError('WAL_VERSION_UNSUPPORTED', `postgresql ${major} is too old for pull and backup`, {
        hint: `they need ${OLDEST_MAJOR} or newer; push works with 14 too`,
      });
    }
    const { systemIdentifier } = await this.identify();
    return { systemIdentifier, segmentSize: parseSize(await this.show('wal_segment_size')), major };
  }

  /** The `.history` file of a timeline; undefined if the server has none, as for timeline 1. */
  async history(timeline: number): Promise<{ name: string; content: Buffer } | undefined> {
    if (timeline === 1) return undefined;
    const row = await this.#row(`TIMELINE_HISTORY ${timeline}`);
    return { name: historyName(timeline), content: Buffer.from(String(row.content), 'utf8') };
  }

  /** A slot's state; undefined if there is none of this name. */
  async slot(name: string): Promise<SlotState | undefined> {
    const row = await this.#row(`READ_REPLICATION_SLOT ${checkSlotName(name)}`);
    if (row.slot_type === null || row.slot_type === undefined) return undefined;
    return {
      position: row.restart_lsn === null ? undefined : parseLsn(String(row.restart_lsn)),
      timeline: row.restart_tli === null ? undefined : Number(row.restart_tli),
    };
  }

  /** Makes a slot that holds WAL back from now on; one that exists is left as it is. */
  async createSlot(name: string): Promise<void> {
    try {
      await this.client.query(`CREATE_REPLICATION_SLOT ${checkSlotName(name)} PHYSICAL (RESERVE_WAL)`);
    } catch (error) {
      if (!hasSqlState(toSkytoolsError(error), '42710')) throw toSkytoolsError(error);
    }
  }

  async dropSlot(name: string): Promise<void> {
    await this.#row(`DROP_REPLICATION_SLOT ${checkSlotName(name)} WAIT`);
  }

  /** The server's clock and position: physical replication connections run no SQL, but keepalives carry both. */
  async clock(): Promise<Date> {
    const { position } = await this.identify();
    let at: Date | undefined;
    const command: CopyCommand = new CopyCommand(`START_REPLICATION PHYSICAL ${formatLsn(position)}`, {
      onStart: () => command.send(statusMessage(0n, 0n, new Date(0), true)),
      onData: (payload) => {
        const message = readStreamMessage(payload);
        if (message.kind === 'other' || at) return;
        at = clockToDate(message.clock);
        command.endCopy();
      },
    }).run(this.client);
    await command.finished.catch((error: unknown) => {
      throw toSkytoolsError(error);
    });
    if (!at) throw new SkytoolsError('WAL_PROTOCOL', 'the server told no time', { retryable: true });
    return at;
  }
}

/** @throws UsageError WAL_SLOT_NAME_INVALID */
export function checkSlotName(name: string): string {
  if (/^[a-z0-9_]{1,63}$/.test(name)) return name;
  throw new UsageError('WAL_SLOT_NAME_INVALID', `not a replication slot's name: ${JSON.stringify(name)}`, {
    hint: 'lower-case letters, digits and underscores, at most 63',
  });
}

function parseSize(text: string): number {
  const parts = /^(\d+)(MB|GB)$/.exec(text);
  return checkSegmentSize(Number(parts?.[1]) * (parts?.[2] === 'GB' ? 1 << 30 : 1 << 20));
}
