import { UsageError } from '../../platform/errors.ts';
import type { Handler } from '../handler.ts';

/** Finds the handler of a consumer by its key in the configuration. */
export type HandlerLoader = (consumer: string) => Promise<Handler>;

/**
 * The user's handlers as the build laid them beside the function: `handlers/<consumer>.mjs`.
 *
 * @param bundleUrl `import.meta.url` of the function
 */
export const bundledHandler =
  (bundleUrl: string): HandlerLoader =>
  async (consumer) =>
    checkHandler(
      consumer,
      await import(new URL(`handlers/${encodeURIComponent(consumer)}.mjs`, bundleUrl).href),
    );

/**
 * A module as a handler.
 *
 * @throws UsageError PGQ_HANDLER_INVALID where it exports neither function
 */
function checkHandler(consumer: string, module: Record<string, unknown>): Handler {
  if (typeof module.handleBatch === 'function' || typeof module.handleEvent === 'function')
    return module as Handler;
  throw new UsageError(
    'PGQ_HANDLER_INVALID',
    `the handler of consumer "${consumer}" exports no function to call`,
    {
      subject: { consumer },
      hint: 'export an async function handleBatch(batch, context) or handleEvent(event, context)',
    },
  );
}
