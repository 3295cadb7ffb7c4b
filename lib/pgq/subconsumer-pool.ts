/** Every name of a pool begins with it. */
export const SUBCONSUMER_PREFIX = 's';

/** The names of a pool of `size` subconsumers. Stable, so that a batch left behind is found again. */
export const subconsumerPool = (size: number): string[] =>
  Array.from({ length: size }, (_, index) => `${SUBCONSUMER_PREFIX}${index + 1}`);

/** A member of a pool without work for so long is unregistered, in seconds; the next batch registers it again. */
export const IDLE_MEMBER_SECONDS = 60;
