/** An event came too late for its place among the others: what is known must be read again, in order. */
export class OutOfOrder extends Error {}

/** Bytes of events that are looked at as one. */
const BLOCK = 128 * 1024;
/**
 * Blocks in which events stand side by side. Those who write at the same time each fill pages of their own, and a table grows
 * by up to 512 pages of 8 kB for all who wait for one.
 */
const BLOCKS = 16;

/**
 * The order in which events come that were not sorted: nearly that of their ids, because an event gets its id and then its
 * place in the table. To sort them takes the server longer than to read them, and nothing comes until it has.
 */
export class Arrival {
  /** The highest id that came. */
  highest = 0;
  /** One came behind a higher one. */
  #mixed = false;
  /** The lowest ids of the blocks that came last, in turns. */
  readonly #lowest = new Float64Array(BLOCKS).fill(Infinity);
  #block = 0;
  #room = BLOCK;

  /** An event came. */
  note(id: number, bytes: number): void {
    if (id >= this.highest) this.highest = id;
    else this.#mixed = true;
    this.#room -= bytes;
    if (this.#room < 0) {
      this.#room = BLOCK;
      this.#block = (this.#block + 1) % BLOCKS;
      this.#lowest[this.#block] = id;
    } else if (id < this.#lowest[this.#block]!) this.#lowest[this.#block] = id;
  }

  /** Below and at this id there will hardly come another event. */
  get settled(): number {
    return this.#mixed ? Math.min(...this.#lowest) : this.highest;
  }
}
