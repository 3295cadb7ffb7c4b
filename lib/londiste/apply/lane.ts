/**
 * Work of one connection beside work of this process, one piece at a time: while a segment is applied the next one is read.
 * What fails is thrown where the next piece begins, or where the end of all is awaited.
 */
export class Lane {
  #work: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;

  /** Whether the connection waits for work. */
  get idle(): boolean {
    return this.#work === undefined;
  }

  /** Begins a piece as soon as the last one has ended. */
  async begin(work: () => Promise<void>): Promise<void> {
    await this.settle();
    this.#work = work()
      .catch((error) => {
        this.#failure = { error };
      })
      .finally(() => {
        this.#work = undefined;
      });
  }

  /** Waits for the end of what is on its way. @throws what it, or an earlier piece, has thrown */
  async settle(): Promise<void> {
    await this.#work;
    if (this.#failure) throw this.#failure.error;
  }
}
