/** An entry is stale once its message has another time; stale entries are dropped when they come up. */
export interface HeapEntry<Item> {
  readonly at: number;
  readonly sequence: number;
  readonly item: Item;
}

/** A binary heap by time and then by order of entry: the next message to become visible is on top. */
export class VisibilityHeap<Item> {
  private readonly entries: HeapEntry<Item>[] = [];

  peek(): HeapEntry<Item> | undefined {
    return this.entries[0];
  }

  push(entry: HeapEntry<Item>): void {
    const { entries } = this;
    let at = entries.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(entry, entries[parent] as HeapEntry<Item>)) break;
      entries[at] = entries[parent] as HeapEntry<Item>;
      at = parent;
    }
    entries[at] = entry;
  }

  pop(): HeapEntry<Item> | undefined {
    const { entries } = this;
    const top = entries[0];
    const last = entries.pop();
    if (top === undefined || last === undefined || entries.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= entries.length) break;
      const right = entries[child + 1];
      if (right && before(right, entries[child] as HeapEntry<Item>)) child += 1;
      if (!before(entries[child] as HeapEntry<Item>, last)) break;
      entries[at] = entries[child] as HeapEntry<Item>;
      at = child;
    }
    entries[at] = last;
    return top;
  }
}

function before<Item>(left: HeapEntry<Item>, right: HeapEntry<Item>): boolean {
  return left.at < right.at || (left.at === right.at && left.sequence < right.sequence);
}
