/** Time as the scheduler sees it, so that tests can turn it themselves. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back once after so many milliseconds; the returned function calls it off. */
  after(milliseconds: number, callback: () => void): () => void;
}

/** Longer waits overflow setTimeout, which then fires at once. */
const MAXIMUM_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: Date.now,
  after(milliseconds, callback) {
    let timer: NodeJS.Timeout;
    const wait = (left: number): void => {
      const step = Math.min(left, MAXIMUM_TIMEOUT_MS);
      timer = setTimeout(() => (left > step ? wait(left - step) : callback()), step);
    };
    wait(Math.max(milliseconds, 0));
    return () => clearTimeout(timer);
  },
};
