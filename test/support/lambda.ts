import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RUNTIME_CLIENT } from '../../infra/lambda-ric/install.ts';

/** An error as a function's runtime reports it. */
export interface ReportedError {
  errorType: string;
  errorMessage: string;
  trace: string[];
}

/** How an invocation ended. */
export type Outcome = { response: unknown } | { error: ReportedError; header: string | undefined };

export interface LambdaOptions {
  /** Where the code lies, as /var/task in Lambda. */
  taskRoot: string;
  /** `path/module.export`, as in a function's configuration. */
  handler: string;
  environment?: NodeJS.ProcessEnv;
  timeoutSeconds?: number;
}

const API = '/2018-06-01/runtime';

/**
 * A function in the real runtime interface client, and the Lambda around it: the runtime API (version 2018-06-01, as AWS
 * documents it for custom runtimes), one process at a time, killed when an invocation exceeds the time-out.
 */
export class Lambda {
  readonly #options: LambdaOptions;
  readonly #server: Server;
  /** Kills the process that exceeds the time-out, which begins when the runtime takes its event. */
  #timer: NodeJS.Timeout | undefined;
  #process: ChildProcess | undefined;
  #output = '';
  /** The runtime's request for its next event, where it has asked. */
  #idle: ServerResponse | undefined;
  #current: { id: string; event: unknown; timeoutSeconds: number } | undefined;
  #settle: (outcome: Outcome) => void = () => {};

  private constructor(options: LambdaOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(options: LambdaOptions): Promise<Lambda> {
    const lambda = new Lambda(options);
    await new Promise<void>((resolve) => lambda.#server.listen(0, '127.0.0.1', resolve));
    return lambda;
  }

  /** Of the process that serves now, or served last. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** What the function and its runtime have written. */
  get output(): string {
    return this.#output;
  }

  /**
   * Hands an event to the function; with the process, if there is none, as at a cold start. One at a time.
   *
   * @param timeoutSeconds of this invocation; the function's by default
   */
  async invoke(
    event: unknown,
    timeoutSeconds: number = this.#options.timeoutSeconds ?? 60,
  ): Promise<Outcome> {
    const outcome = new Promise<Outcome>((resolve) => {
      this.#settle = resolve;
    });
    this.#current = { id: randomUUID(), event, timeoutSeconds };
    if (this.#idle) this.#hand(this.#idle);
    else if (!this.#alive) this.#start();
    try {
      return await outcome;
    } finally {
      clearTimeout(this.#timer);
      this.#current = undefined;
    }
  }

  async close(): Promise<void> {
    await this.#kill();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get #alive(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null;
  }

  #start(): void {
    const { port } = this.#server.address() as AddressInfo;
    const { taskRoot, handler, environment } = this.#options;
    const child = spawn(process.execPath, [RUNTIME_CLIENT, handler], {
      cwd: taskRoot,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}`,
        AWS_LAMBDA_FUNCTION_NAME: 'skytools-test',
        AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
        AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/skytools-test',
        AWS_LAMBDA_LOG_STREAM_NAME: 'test',
        LAMBDA_TASK_ROOT: taskRoot,
        _HANDLER: handler,
        ...environment,
      },
    });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (this.#output += text));
    child.once('exit', (code, signal) => {
      if (this.#process === child) this.#idle = undefined;
      if (signal === null) this.#fail('Runtime.ExitError', `runtime exited with status ${code}`);
    });
    this.#process = child;
  }

  async #kill(): Promise<void> {
    const child = this.#process;
    if (!child || !this.#alive) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  /** An error that Lambda itself reports. */
  #fail(errorType: string, errorMessage: string): void {
    this.#settle({ error: { errorType, errorMessage, trace: [] }, header: undefined });
  }

  #hand(response: ServerResponse): void {
    const { id, event, timeoutSeconds } = this.#current!;
    this.#idle = undefined;
    const deadline = Date.now() + timeoutSeconds * 1000;
    this.#timer = setTimeout(async () => {
      await this.#kill();
      const errorMessage = `RequestId: ${id} Error: Task timed out after ${timeoutSeconds.toFixed(2)} seconds`;
      this.#fail('Sandbox.Timedout', errorMessage);
    }, timeoutSeconds * 1000);
    response.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': id,
      'lambda-runtime-deadline-ms': String(deadline),
      'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:us-east-1:000000000000:function:skytools-test',
      'lambda-runtime-trace-id': 'Root=1-00000000-000000000000000000000000;Sampled=0',
    });
    response.end(JSON.stringify(event));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const id = this.#current?.id;
    const route = `${request.method} ${request.url}`;
    if (route === `GET ${API}/invocation/next`) {
      this.#idle = response;
      if (id !== undefined) this.#hand(response);
      return;
    }
    if (route === `POST ${API}/invocation/${id}/response`) this.#settle({ response: JSON.parse(body) });
    else if ([`POST ${API}/invocation/${id}/error`, `POST ${API}/init/error`].includes(route))
      this.#settle({
        error: JSON.parse(body),
        header: request.headers['lambda-runtime-function-error-type'] as string | undefined,
      });
    else return void response.writeHead(404).end();
    response.writeHead(202, { 'content-type': 'application/json' }).end('{"status":"OK"}');
  }
}
