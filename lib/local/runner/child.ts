// The process in which one function runs: it loads the bundle once, and then handles one event at a time, as long as
// the runner that started it lives. Arguments: the bundle's path.

import { pathToFileURL } from 'node:url';
import type { FunctionError, InvokeMessage, ProcessMessage } from './protocol.ts';

type Handler = (event: unknown, context: object) => unknown;

// Ctrl-C reaches the whole process group; whether this process goes is for the runner to say.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());

const say = (message: ProcessMessage, then?: () => void): void => {
  process.send?.(message, undefined, undefined, then);
};

function describe(error: unknown): FunctionError {
  if (error instanceof Error) {
    return { errorType: error.name, errorMessage: error.message, trace: (error.stack ?? '').split('\n') };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

function maximumMemoryMb(): number {
  return Math.ceil(process.resourceUsage().maxRSS / 1024);
}

let current: InvokeMessage | undefined;

function crash(errorType: string, error: unknown): void {
  const described = { ...describe(error), errorType };
  const exit = (): void => process.exit(1);
  if (current) {
    const { requestId } = current;
    const memory = maximumMemoryMb();
    say({ type: 'result', requestId, error: described, last: true, maximumMemoryMb: memory }, exit);
  } else say({ type: 'init-error', error: described }, exit);
}

process.on('unhandledRejection', (reason) => crash('Runtime.UnhandledPromiseRejection', reason));
process.on('uncaughtException', (error) => crash(error.name, error));

function contextOf(message: InvokeMessage): object {
  return {
    awsRequestId: message.requestId,
    functionName: message.functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: message.functionArn,
    memoryLimitInMB: String(message.memoryMb),
    logGroupName: `/aws/lambda/${message.functionName}`,
    logStreamName: `local/[$LATEST]${process.pid}`,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(message.deadline - Date.now(), 0),
  };
}

async function handle(handler: Handler, message: InvokeMessage): Promise<ProcessMessage> {
  const { requestId } = message;
  try {
    const result = await handler(message.event, contextOf(message));
    try {
      const value = JSON.stringify(result) ?? 'null';
      return { type: 'result', requestId, value, maximumMemoryMb: maximumMemoryMb() };
    } catch (error) {
      const described = { ...describe(error), errorType: 'Runtime.MarshalError' };
      return { type: 'result', requestId, error: described, maximumMemoryMb: maximumMemoryMb() };
    }
  } catch (error) {
    return { type: 'result', requestId, error: describe(error), maximumMemoryMb: maximumMemoryMb() };
  }
}

const bundle = process.argv[2] as string;
try {
  const { handler } = (await import(pathToFileURL(bundle).href)) as { handler?: Handler };
  if (typeof handler !== 'function') {
    throw Object.assign(new Error(`${bundle} does not export a function named handler`), {
      name: 'Runtime.HandlerNotFound',
    });
  }
  process.on('message', (message: InvokeMessage) => {
    current = message;
    void handle(handler, message).then((answer) => {
      current = undefined;
      say(answer);
    });
  });
  say({ type: 'ready' });
} catch (error) {
  const described = describe(error);
  const missing = (error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND';
  say(
    {
      type: 'init-error',
      error: missing ? { ...described, errorType: 'Runtime.ImportModuleError' } : described,
    },
    () => process.exit(1),
  );
}
