import type pg from 'pg';
import { SkytoolsError } from '../../platform/errors.ts';
import { quoteIdent, quoteLiteral, quoteQualified, splitQualified } from '../../postgres/quote.ts';
import { transaction } from '../../postgres/transaction.ts';
import { type Answer, call } from '../errors.ts';
import { nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { grantsOf, type Likeness, tryEach } from './create-table.ts';
import { qualified } from './names.ts';
import { syncSequences } from './provider.ts';
import type { Added } from './tables.ts';

/** A sequence of the set. */
export interface SequenceStatus {
  sequence: string;
  local: boolean;
  /** What the root published last: subscribers run ahead of it. */
  lastValue: bigint;
}

/** The sequences of the set as this node knows them. */
export async function sequenceStatus(client: pg.Client, queue: string): Promise<SequenceStatus[]> {
  await nodeState(client, queue);
  const { rows } = await client.query<SequenceStatus>(
    'select seq_name as sequence, local, last_value as "lastValue" from londiste.get_seq_list($1)',
    [queue],
  );
  return rows;
}

/** Brings the list of the set's sequences up to the provider's; nothing to do on the root. */
export async function refreshSequences(scope: NodeScope, client: pg.Client, queue: string): Promise<void> {
  const state = await nodeState(client, queue);
  if (state.node_type === 'root') return;
  await atLocation(scope, state.provider_location, (provider) => syncSequences(client, provider, queue));
}

/** Whether there is such a sequence in the node's database. */
export async function sequenceExists(client: pg.Client, name: string): Promise<boolean> {
  const { rowCount } = await client.query('select from pg_catalog.pg_class where oid = to_regclass($1)', [
    quoteQualified(qualified(name)),
  ]);
  return rowCount !== 0;
}

/**
 * Subscribes a sequence: on the root it joins the set, elsewhere it moves to the value published last.
 *
 * @param create make it like the provider's, where it is missing here; `full`: also its comment, grants and owner
 * @throws SkytoolsError LONDISTE_REFUSED, LONDISTE_SEQUENCE_MISSING
 */
export async function addSequence(
  scope: NodeScope,
  client: pg.Client,
  queue: string,
  name: string,
  create?: Likeness,
): Promise<Added> {
  const sequence = qualified(name);
  const state = await nodeState(client, queue);
  const left =
    create === undefined || state.node_type === 'root' || (await sequenceExists(client, sequence))
      ? []
      : await atLocation(scope, state.provider_location, (provider) =>
          createLikeProvider(provider, client, sequence, create),
        );
  const answer = await transaction(client, () =>
    call(client, 'londiste.local_add_seq($1, $2)', [queue, sequence]),
  );
  return { ...answer, left };
}

/** Ends the subscription of a sequence; on the root it leaves the whole set. */
export async function removeSequence(client: pg.Client, queue: string, name: string): Promise<Answer> {
  return transaction(client, () =>
    call(client, 'londiste.local_remove_seq($1, $2)', [queue, qualified(name)]),
  );
}

interface Definition {
  oid: number;
  owner: string;
  comment: string | null;
  type: string;
  increment: bigint;
  minimum: bigint;
  maximum: bigint;
  cache: bigint;
  cycle: boolean;
  next: bigint;
}

/** @returns what could not be made as it is at the provider, and why */
async function createLikeProvider(
  provider: pg.Client,
  client: pg.Client,
  sequence: string,
  likeness: Likeness,
): Promise<string[]> {
  const quoted = quoteQualified(sequence);
  const { rows } = await provider.query<Definition>(
    `select c.oid::int8::int4 as oid, pg_get_userbyid(c.relowner) as owner, obj_description(c.oid, 'pg_class') as comment,
            format_type(s.seqtypid, null) as type, s.seqincrement as increment, s.seqmin as minimum, s.seqmax as maximum,
            s.seqcache as cache, s.seqcycle as cycle,
            coalesce(pg_sequence_last_value(s.seqrelid) + s.seqincrement, s.seqstart) as next
       from pg_catalog.pg_sequence s join pg_catalog.pg_class c on c.oid = s.seqrelid
      where s.seqrelid = to_regclass($1)`,
    [quoted],
  );
  const like = rows[0];
  if (like === undefined) {
    throw new SkytoolsError('LONDISTE_SEQUENCE_MISSING', `the provider has no sequence ${sequence}`, {
      subject: { sequence },
      hint: 'create it there, or take it out of the set there',
    });
  }
  const may =
    likeness === 'full'
      ? [
          ...(like.comment === null
            ? []
            : [`comment on sequence ${quoted} is ${quoteLiteral(like.comment)}`]),
          ...(await grantsOf(provider, like.oid, quoted)),
          // Last: its new owner may not let us change it.
          `alter sequence ${quoted} owner to ${quoteIdent(like.owner)}`,
        ]
      : [];
  return transaction(client, async () => {
    await client.query(`create schema if not exists ${quoteIdent(splitQualified(sequence).schema)}`);
    await client.query(
      `create sequence ${quoted} as ${like.type} increment by ${like.increment} minvalue ${like.minimum}
       maxvalue ${like.maximum} start with ${like.next} cache ${like.cache} ${like.cycle ? 'cycle' : 'no cycle'}`,
    );
    return tryEach(client, may);
  });
}
