const FIRST_CAPACITY = 2048;

/** Slots of whole numbers, by open addressing: a Map takes three times as long, and replay asks it for every event. */
export class NumberSlots {
  #keys!: Float64Array;
  /** Slot and one; 0: nothing stands here. */
  #slots!: Int32Array;
  /** Bits of a hash that are too many. */
  #shift!: number;
  #size = 0;

  constructor() {
    this.#allocate(FIRST_CAPACITY);
  }

  #allocate(capacity: number): void {
    this.#keys = new Float64Array(capacity);
    this.#slots = new Int32Array(capacity);
    this.#shift = 32 - Math.log2(capacity);
  }

  /** @returns the slot; -1 where the number is new */
  find(key: number): number {
    return this.#slots[this.#place(key)]! - 1;
  }

  /** Gives a new number its slot. */
  add(key: number, slot: number): void {
    if (++this.#size * 2 > this.#keys.length) this.#grow();
    this.#put(key, slot + 1);
  }

  clear(): void {
    this.#slots.fill(0);
    this.#size = 0;
  }

  #put(key: number, value: number): void {
    const at = this.#place(key);
    this.#keys[at] = key;
    this.#slots[at] = value;
  }

  /** Where the number stands, or would. */
  #place(key: number): number {
    const keys = this.#keys;
    const slots = this.#slots;
    const mask = keys.length - 1;
    // Both halves of what is beyond 32 bits; times the golden ratio, so that neighbours do not crowd.
    const mixed = (key | 0) ^ Math.imul((key / 2 ** 32) | 0, 0x85ebca6b);
    let at = Math.imul(mixed, 0x9e3779b1) >>> this.#shift;
    while (slots[at] !== 0 && keys[at] !== key) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const [keys, slots] = [this.#keys, this.#slots];
    this.#allocate(keys.length * 2);
    for (let at = 0; at < slots.length; at++) if (slots[at] !== 0) this.#put(keys[at]!, slots[at]!);
  }
}
