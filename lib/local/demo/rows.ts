import type pg from 'pg';
import { quoteColumns, quoteIdent, quoteQualified } from '../../postgres/quote.ts';
import type { Random } from '../emulator/faults.ts';
import { type DemoTable, keyColumns } from './tables.ts';
import { freshKey, randomValue, type Value } from './values.ts';

/** The values of a row's key columns, in text form. */
type Key = readonly string[];

interface Statement {
  text: string;
  values: Value[];
}

/** Statements that belong together, and what becomes of the known keys when their transaction commits or does not. */
export interface Change {
  statements: Statement[];
  committed?(): void;
  undone?(): void;
}

/** One key in so many is taken from the pool's first keys, so that some rows change again and again. */
const HOT_SHARE = 5;
const HOT_KEYS = 20;

/** One inserted key in so many is one that was deleted before. */
const REVIVED_SHARE = 4;

/**
 * Makes changes of one table. It knows the keys of the committed rows; a key that a transaction deletes or inserts again
 * belongs to that transaction until its end, so that two never insert the same one.
 */
export class TableChanges {
  readonly table: DemoTable;
  readonly #random: Random;
  readonly #target: string;
  readonly #keys: DemoTable['columns'];
  readonly #others: DemoTable['columns'];
  readonly #present: Key[] = [];
  readonly #deleted: Key[] = [];
  #serial = 0;

  constructor(table: DemoTable, random: Random) {
    this.table = table;
    this.#random = random;
    this.#target = quoteQualified(table.name);
    this.#keys = keyColumns(table);
    this.#others = table.columns.filter(({ key }) => !key);
  }

  /** Learns the rows that are there. */
  async readKeys(client: pg.ClientBase): Promise<void> {
    const columns = this.#keys.map(({ name }) => `${quoteIdent(name)}::text`).join(', ');
    const { rows } = await client.query({
      text: `select ${columns} from ${this.#target} order by ${quoteColumns(this.#keys.map(({ name }) => name))}`,
      rowMode: 'array',
    });
    this.#present.push(...(rows as string[][]));
  }

  /** A change at random: half of them updates, slightly more inserts than deletes. */
  next(): Change {
    const dice = this.#random();
    if (dice < 0.28 || this.#present.length === 0) return this.#insert();
    if (dice < 0.53) return this.#delete();
    return dice < 0.56 ? this.#replace() : this.#update();
  }

  #insert(): Change {
    const revived = this.#below(REVIVED_SHARE) === 0 ? this.#deleted.pop() : undefined;
    const serial = ++this.#serial;
    const key = revived ?? this.#keys.map(({ type }) => freshKey(this.#random, type, serial));
    return {
      statements: [this.#insertOf(key)],
      committed: () => void this.#present.push(key),
      undone: () => void (revived && this.#deleted.push(revived)),
    };
  }

  #delete(): Change {
    const key = this.#take();
    return {
      statements: [this.#deleteOf(key)],
      committed: () => void this.#deleted.push(key),
      undone: () => void this.#present.push(key),
    };
  }

  /** A row deleted and inserted anew by one transaction, which must arrive in this order. */
  #replace(): Change {
    const key = this.#take();
    const back = () => void this.#present.push(key);
    return { statements: [this.#deleteOf(key), this.#insertOf(key)], committed: back, undone: back };
  }

  #update(): Change {
    const hot = this.#below(HOT_SHARE) === 0;
    const key =
      this.#present[this.#below(hot ? Math.min(HOT_KEYS, this.#present.length) : this.#present.length)]!;
    const first = this.#below(this.#others.length);
    const chosen = this.#others.slice(first, first + 1 + this.#below(3));
    const statement: Statement = {
      text: `update ${this.#target} set ${chosen.map(({ name }, index) => `${quoteIdent(name)} = $${index + 1}`).join(', ')}
              where ${this.#isKey(chosen.length + 1)}`,
      values: [...chosen.map(({ type }) => randomValue(this.#random, type)), ...key],
    };
    return { statements: [statement] };
  }

  #insertOf(key: Key): Statement {
    const columns = [...this.#keys, ...this.#others];
    return {
      text: `insert into ${this.#target} (${quoteColumns(columns.map(({ name }) => name))})
             values (${columns.map((_, index) => `$${index + 1}`).join(', ')})`,
      values: [...key, ...this.#others.map(({ type }) => randomValue(this.#random, type))],
    };
  }

  #deleteOf(key: Key): Statement {
    return { text: `delete from ${this.#target} where ${this.#isKey(1)}`, values: [...key] };
  }

  /** Takes a key out of the pool: it belongs to one transaction now. */
  #take(): Key {
    const at = this.#below(this.#present.length);
    const key = this.#present[at]!;
    const last = this.#present.pop()!;
    if (at < this.#present.length) this.#present[at] = last;
    return key;
  }

  /** @param parameter number of the first parameter with the key's values */
  #isKey(parameter: number): string {
    return this.#keys.map(({ name }, index) => `${quoteIdent(name)} = $${parameter + index}`).join(' and ');
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}
