import { pathToFileURL } from 'node:url';
import { errorMessage, UsageError } from '../../platform/errors.ts';
import type { Handler } from '../handler.ts';

/** Finds the handler of a consumer by its key in the configuration. */
export type HandlerLoader = (consumer: string) => Promise<Handler>;

/** Name of a consumer's handler in the directory of handlers. */
export const handlerFile = (consumer: string) => `${encodeURIComponent(consumer)}.mjs`;

/**
 * The user's handlers as the build laid them beside the function: `handlers/<consumer>.mjs`. `SKYTOOLS_HANDLERS` names another
 * directory (local runs).
 *
 * @param bundleUrl `import.meta.url` of the function
 */
export const bundledHandler =
  (bundleUrl: string): HandlerLoader =>
  async (consumer) => {
    const { SKYTOOLS_HANDLERS: directory } = process.env;
    const base = directory ? pathToFileURL(`${directory}/`) : new URL('handlers/', bundleUrl);
    return checkHandler(consumer, await load(consumer, new URL(handlerFile(consumer), base)));
  };

async function load(consumer: string, url: URL): Promise<Record<string, unknown>> {
  try {
    return await import(url.href);
  } catch (error) {
    throw new UsageError(
      'PGQ_HANDLER_UNREADABLE',
      `the handler of consumer "${consumer}" cannot be loaded: ${errorMessage(error)}`,
      {
        cause: error,
        subject: { consumer },
        hint: 'look at its path in skytools.config.ts and at what it imports; deployed functions have it from `npm run build`',
      },
    );
  }
}

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
