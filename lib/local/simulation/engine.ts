/** Simulated time: what is planned happens in the order of its moment, and of its planning where moments are equal. */
export class Timeline {
  /** Seconds since the start. */
  now = 0;
  readonly #heap: { at: number; order: number; happen: () => void }[] = [];
  #order = 0;

  after(seconds: number, happen: () => void): void {
    const heap = this.#heap;
    const entry = { at: this.now + seconds, order: this.#order++, happen };
    let child = heap.length;
    heap.push(entry);
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[child] = heap[parent]!;
      child = parent;
    }
    heap[child] = entry;
  }

  /** Lets everything happen that is planned before `seconds`. */
  runUntil(seconds: number): void {
    while (this.#heap.length > 0 && this.#heap[0]!.at < seconds) {
      const { at, happen } = this.#take();
      this.now = at;
      happen();
    }
    this.now = seconds;
  }

  #take() {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop()!;
    if (heap.length > 0) {
      let parent = 0;
      for (;;) {
        let child = 2 * parent + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
        if (!isBefore(heap[child]!, last)) break;
        heap[parent] = heap[child]!;
        parent = child;
      }
      heap[parent] = last;
    }
    return first!;
  }
}

const isBefore = (a: { at: number; order: number }, b: { at: number; order: number }) =>
  a.at < b.at || (a.at === b.at && a.order < b.order);

/** An SQS queue with a function behind it: first come, first served, by at most `servers` invocations at a time. */
export class Station {
  readonly #timeline: Timeline;
  readonly #servers: number;
  /** A ring is not needed: what was served is cut off now and then. */
  #waiting: { since: number; serviceSeconds: number; done: (waited: number) => void }[] = [];
  #next = 0;
  #busy = 0;
  #changedAt = 0;
  /** Jobs begun. */
  begun = 0;
  busyPeak = 0;
  /** Seconds of invocations, all together. */
  busySeconds = 0;
  waitedSeconds = 0;

  constructor(timeline: Timeline, servers: number) {
    this.#timeline = timeline;
    this.#servers = servers;
  }

  get queued(): number {
    return this.#waiting.length - this.#next;
  }

  submit(serviceSeconds: number, done: (waited: number) => void = () => {}): void {
    this.#waiting.push({ since: this.#timeline.now, serviceSeconds, done });
    this.#serve();
  }

  #serve(): void {
    while (this.#busy < this.#servers && this.queued > 0) {
      const { since, serviceSeconds, done } = this.#waiting[this.#next++]!;
      if (this.#next > 1024 && this.#next * 2 > this.#waiting.length) {
        this.#waiting = this.#waiting.slice(this.#next);
        this.#next = 0;
      }
      const waited = this.#timeline.now - since;
      this.begun++;
      this.waitedSeconds += waited;
      this.#count(1);
      this.#timeline.after(serviceSeconds, () => {
        this.#count(-1);
        done(waited);
        this.#serve();
      });
    }
  }

  #count(change: 1 | -1): void {
    const { now } = this.#timeline;
    this.busySeconds += this.#busy * (now - this.#changedAt);
    this.#changedAt = now;
    this.#busy += change;
    this.busyPeak = Math.max(this.busyPeak, this.#busy);
  }
}
