/** A map whose keys can be walked in S3's order, the order of their UTF-8 bytes. */
export class KeyIndex<Value> {
  private readonly values = new Map<string, Value>();
  private readonly sorted: string[] = [];

  get size(): number {
    return this.values.size;
  }

  get(key: string): Value | undefined {
    return this.values.get(key);
  }

  set(key: string, value: Value): void {
    if (!this.values.has(key)) this.sorted.splice(this.position(key), 0, key);
    this.values.set(key, value);
  }

  delete(key: string): void {
    if (this.values.delete(key)) this.sorted.splice(this.position(key), 1);
  }

  /** The values whose key is not smaller than `from`, in order. */
  *walk(from: string): Generator<readonly [string, Value]> {
    for (let at = this.position(from); at < this.sorted.length; at++) {
      const key = this.sorted[at] as string;
      yield [key, this.values.get(key) as Value];
    }
  }

  private position(key: string): number {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.sorted[middle] as string, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** UTF-16 order differs from UTF-8 order only where one side has a surrogate, so only then bytes are compared. */
export function compareKeys(left: string, right: string): number {
  if (SURROGATE.test(left) || SURROGATE.test(right))
    return Buffer.compare(Buffer.from(left), Buffer.from(right));
  return left < right ? -1 : left > right ? 1 : 0;
}

const SURROGATE = /[\ud800-\udfff]/;
