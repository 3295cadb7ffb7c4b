import type { Operation } from './event-type.ts';
import { NumberSlots } from './number-slots.ts';

const FIRST_SLOTS = 1024;

/**
 * The rows of a table's events in a segment, one slot for each key: a quarter of a million of them must not cost much more
 * than the texts of their keys, so what is known of them stands in typed arrays.
 */
export class KeyIndex {
  readonly #numbers = new NumberSlots();
  readonly #texts = new Map<string, number>();
  /** The key of each slot. */
  #keys: (string | number | undefined)[] = [];
  /** Characters of the keys that are texts. */
  textLength = 0;
  /** Id of the last event. */
  ids = new Float64Array(FIRST_SLOTS);
  /** Number of the stage that its line went to. */
  stages = new Int16Array(FIRST_SLOTS);
  /** Where its line stands there. */
  starts = new Int32Array(FIRST_SLOTS);
  /** Id of the first event. */
  firstIds = new Float64Array(FIRST_SLOTS);
  /** Operation of the first event: whether the row was there before. */
  firsts = new Uint8Array(FIRST_SLOTS);
  /** Operation of the last event, which the line is of. */
  lasts = new Uint8Array(FIRST_SLOTS);
  /** Whether an insert was among the events: the row is there afterwards. */
  inserts = new Uint8Array(FIRST_SLOTS);

  get size(): number {
    return this.#keys.length;
  }

  /** @returns the key's slot; -1 where it is new */
  find(key: string | number): number {
    return typeof key === 'number' ? this.#numbers.find(key) : (this.#texts.get(key) ?? -1);
  }

  /** Makes a slot for a new key; `undefined`: for one event alone. */
  add(key: string | number | undefined): number {
    const slot = this.#keys.length;
    if (slot === this.ids.length) this.#grow();
    this.#keys.push(key);
    if (typeof key === 'number') this.#numbers.add(key, slot);
    else if (key !== undefined) {
      this.#texts.set(key, slot);
      this.textLength += key.length;
    }
    this.ids[slot] = -1;
    this.firstIds[slot] = Infinity;
    this.inserts[slot] = 0;
    return slot;
  }

  /** Notes an event of a slot. @returns whether it is the last one: its line is the one that counts */
  note(slot: number, id: number, operation: Operation): boolean {
    if (operation === 0) this.inserts[slot] = 1;
    if (id < this.firstIds[slot]!) {
      this.firstIds[slot] = id;
      this.firsts[slot] = operation;
    }
    if (id < this.ids[slot]!) return false;
    this.ids[slot] = id;
    this.lasts[slot] = operation;
    return true;
  }

  /** Notes where the line of a slot's last event stands. */
  place(slot: number, stage: number, start: number): void {
    this.stages[slot] = stage;
    this.starts[slot] = start;
  }

  /** Forgets the keys whose last event is `upTo` or an earlier one. @returns the new slots of the others */
  forget(upTo: number): Int32Array {
    const keys = this.#keys;
    const moved = new Int32Array(keys.length);
    this.#keys = [];
    this.#numbers.clear();
    this.#texts.clear();
    this.textLength = 0;
    for (let from = 0; from < keys.length; from++) {
      const id = this.ids[from]!;
      if (id <= upTo) continue;
      const inserted = this.inserts[from]!;
      const firstId = this.firstIds[from]!;
      const slot = this.add(keys[from]);
      moved[from] = slot;
      this.ids[slot] = id;
      this.firstIds[slot] = firstId;
      this.inserts[slot] = inserted;
      for (const array of [this.stages, this.starts, this.firsts, this.lasts]) array[slot] = array[from]!;
    }
    return moved;
  }

  #grow(): void {
    const grown = <A extends Float64Array | Int16Array | Int32Array | Uint8Array>(old: A, larger: A): A => {
      larger.set(old as never);
      return larger;
    };
    const size = this.ids.length * 2;
    this.ids = grown(this.ids, new Float64Array(size));
    this.stages = grown(this.stages, new Int16Array(size));
    this.starts = grown(this.starts, new Int32Array(size));
    this.firstIds = grown(this.firstIds, new Float64Array(size));
    this.firsts = grown(this.firsts, new Uint8Array(size));
    this.lasts = grown(this.lasts, new Uint8Array(size));
    this.inserts = grown(this.inserts, new Uint8Array(size));
  }
}
