/** Lets at most so many pieces of work run at the same time; the others wait in order. */
export class Slots {
  readonly limit: number;
  private taken = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  get inUse(): number {
    return this.taken;
  }

  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.taken < this.limit) this.taken += 1;
    // The one that leaves hands its slot over, so that nobody slips in between.
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.taken -= 1;
    }
  }
}
