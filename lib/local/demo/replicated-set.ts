import { setTimeout as sleep } from 'node:timers/promises';
import { createNode } from '../../londiste/admin/create-node.ts';
import { cascadeStatus, type NodeStatus } from '../../londiste/admin/status.ts';
import { addTable, resyncTable, type TableStatus, tableStatus } from '../../londiste/admin/tables.ts';
import type { NodeScope } from '../../londiste/place.ts';
import type { TriggerFormat } from '../../pgq/triggers.ts';
import { hasSqlState } from '../../postgres/errors.ts';
import { quoteColumns, quoteIdent, quoteQualified } from '../../postgres/quote.ts';
import type { DemoTable } from './tables.ts';

/** As in skytools.config.ts. */
export const SET = 'demo';
export const ROOT = 'source';
export const LEAF = 'target';
/** The leaf's worker, as a consumer of the root's queue. */
export const WORKER = `${LEAF}_worker`;

/** Trigger flags of `add-table`. */
const FLAGS: Readonly<Record<TriggerFormat, string>> = { logutriga: 'L', jsontriga: 'J', sqltriga: 'Q' };

/** Lock not had in time, and a deadlock with the changes: what an operator answers by trying again. */
const TRY_AGAIN = ['55P03', '40P01'];
const TRY_AGAIN_MS = 200;

/** The set as it stands. */
export interface SetState {
  nodes: NodeStatus[];
  /** Tables subscribed on the leaf. */
  tables: TableStatus[];
}

/** The replicated set of the demonstration as its operator handles it, with the functions behind the command line. */
export class ReplicatedSet {
  readonly #scope: NodeScope;

  constructor(scope: NodeScope) {
    this.#scope = scope;
  }

  async create(): Promise<void> {
    await this.#scope.database(ROOT, (client) =>
      createNode(this.#scope, client, { queue: SET, type: 'root', name: ROOT, location: ROOT }),
    );
    await this.#scope.database(LEAF, (client) =>
      createNode(this.#scope, client, {
        queue: SET,
        type: 'leaf',
        name: LEAF,
        location: LEAF,
        provider: ROOT,
      }),
    );
  }

  /** Adds a table on the root and subscribes it on the leaf, where it is made. */
  async add({ name, capture, indexed }: DemoTable): Promise<void> {
    const triggerArgs = 'set' in capture ? [`tgflags=${FLAGS[capture.set]}`] : [];
    for (const node of [ROOT, LEAF]) {
      await persistently(() =>
        this.#scope.database(node, (client) =>
          addTable(this.#scope, client, { queue: SET, table: name, triggerArgs, create: 'plain' }),
        ),
      );
    }
    if (indexed === undefined) return;
    const index = `create index on ${quoteQualified(name)} (${quoteColumns([indexed])})`;
    await persistently(() => this.#scope.database(LEAF, (client) => client.query(index)));
  }

  state(): Promise<SetState> {
    return this.#scope.database(LEAF, async (client) => ({
      nodes: await cascadeStatus(this.#scope, client, SET),
      tables: await tableStatus(client, SET),
    }));
  }

  /** What is wrong with a table, as the leaf has noticed it. */
  async fault(table: string): Promise<string | null> {
    return (await this.state()).tables.find((each) => each.table === table)?.fault ?? null;
  }

  /** An accident on the root: the table's changes reach the queue no more. */
  async disableTrigger(table: string): Promise<void> {
    const trigger = quoteIdent(`_londiste_${SET}`);
    await this.#scope.database(ROOT, (client) =>
      client.query(`alter table ${quoteQualified(table)} disable trigger ${trigger}`),
    );
  }

  /** What the fault's hint says: make the triggers whole and copy the table again. */
  async repair(table: string): Promise<void> {
    await persistently(() =>
      this.#scope.database(ROOT, (client) =>
        client.query('select londiste.restore_triggers($1, $2)', [SET, table]),
      ),
    );
    await persistently(() =>
      this.#scope.database(LEAF, (client) => resyncTable(this.#scope, client, SET, table)),
    );
  }
}

async function persistently(body: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await body();
      return;
    } catch (error) {
      if (!TRY_AGAIN.some((state) => hasSqlState(error, state))) throw error;
      await sleep(TRY_AGAIN_MS);
    }
  }
}
