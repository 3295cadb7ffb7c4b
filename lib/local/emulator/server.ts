import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { jsonError, writeAnswer, xmlError } from './answering.ts';
import { type Authorize, authorized } from './authorization.ts';
import { type Fault, FaultPlan, type FaultRule, seededRandom } from './faults.ts';
import { S3Service } from './s3/service.ts';
import { type Credentials, sha256, verifySignature } from './signature.ts';
import type { QueueChaos } from './sqs/queue.ts';
import type { Input } from './sqs/requests.ts';
import { SqsService } from './sqs/service.ts';
import { type Answer, header, parameter, parseQuery, REGION, type Request, ServiceError } from './wire.ts';

export interface EmulatorOptions extends Credentials {
  /** Holds one subdirectory for each bucket; buckets that are there already are served on. */
  readonly directory: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
  readonly faults?: readonly FaultRule[];
  readonly queueChaos?: QueueChaos;
  /** Seeds all random choices of faults and chaos. */
  readonly seed?: number;
  /** What the bearers of session tokens may do; everything by default. */
  readonly authorize?: Authorize;
  /** PEM texts; with them the endpoint is https, which some S3 clients insist on. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** A running emulator of S3 and SQS. */
export interface Emulator extends Credentials {
  /** `http://127.0.0.1:PORT`, for both services (AWS_ENDPOINT_URL). */
  readonly endpoint: string;
  readonly region: string;
  readonly faults: FaultPlan;
  readonly sqs: SqsService;
  close(): Promise<void>;
}

/** The longest SQS request: ten messages of 1 MiB, escaped as JSON. */
const MAXIMUM_SQS_BYTES = 16 * 1024 ** 2;

/**
 * Starts S3 (path style, over a directory) and SQS (standard queues, in memory) on one port of 127.0.0.1. Signatures,
 * checksums and conditions are verified as AWS verifies them; what is not emulated is refused with NotImplemented.
 */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const random = seededRandom(options.seed ?? 1);
  const faults = new FaultPlan(random, options.faults);
  let endpoint = '';
  const sqs = new SqsService(() => endpoint, random, options.queueChaos);
  const s3 = new S3Service(options.directory, (arn, body) => sqs.deliver(arn, body));

  const serve = (message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    void respond(message, response, expectsContinue, { options, faults, s3, sqs }).catch(() =>
      response.destroy(),
    );
  };
  const server: Server = options.tls ? createTlsServer(options.tls) : createServer();
  server.on('request', (message, response) => serve(message, response, false));
  server.on('checkContinue', (message, response) => serve(message, response, true));
  // Uploads may take any time; idle connections are kept longer than clients keep them, so that none is cut in use.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  endpoint = `${options.tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { accessKeyId, secretAccessKey } = options;
  return {
    endpoint,
    region: REGION,
    accessKeyId,
    secretAccessKey,
    faults,
    sqs,
    close: () =>
      new Promise((resolve) => {
        sqs.close();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Services {
  readonly options: EmulatorOptions;
  readonly faults: FaultPlan;
  readonly s3: S3Service;
  readonly sqs: SqsService;
}

/** What is left of a request once it is understood: its name for fault rules, its work, its way to say no. */
interface Call {
  readonly operation: string;
  readonly resource: string;
  run(): Promise<Answer>;
}

async function respond(
  message: IncomingMessage,
  response: ServerResponse,
  expectsContinue: boolean,
  services: Services,
): Promise<void> {
  const id = randomUUID();
  const json = message.headers['x-amz-target'] !== undefined;
  const fail = (error: unknown): Answer => (json ? jsonError(error) : xmlError(error, message.method, id));
  let fault: Fault | undefined;
  let answer: Answer;
  try {
    const request = readRequest(message, response, expectsContinue);
    const call = json ? await sqsCall(request, services) : s3Call(request, services);
    fault = services.faults.strike(call.operation, call.resource);
    if (fault?.kind === 'status') throw new ServiceError(fault.status, fault.code, 'injected fault');
    if (fault?.kind === 'reset' && !fault.afterSuccess) return void message.socket.destroy();
    if (fault?.kind === 'delay')
      await new Promise((resolve) => setTimeout(resolve, (fault as { milliseconds: number }).milliseconds));
    answer = await call.run();
  } catch (error) {
    answer = fail(error);
  }
  if (fault?.kind === 'silence') return;
  if (fault?.kind === 'reset') return void message.socket.destroy();
  await writeAnswer(message, response, id, answer, fault);
}

function readRequest(message: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Request {
  const [path = '/', query = ''] = splitOnce(message.url ?? '/', '?');
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  let asked = false;
  try {
    decodeURIComponent(path);
    return {
      method: message.method ?? 'GET',
      path,
      query: parseQuery(query),
      headers: message.headers,
      gone: gone.signal,
      body: () => {
        if (expectsContinue && !asked) response.writeContinue();
        asked = true;
        return message;
      },
    };
  } catch {
    throw new ServiceError(400, 'InvalidURI', "Couldn't parse the specified URI.");
  }
}

function s3Call(request: Request, { options, s3 }: Services): Call {
  const presigned = parameter(request, 'X-Amz-Signature') !== undefined;
  const payload = header(request, 'x-amz-content-sha256');
  if (!presigned && payload === undefined && request.headers.authorization) {
    throw new ServiceError(
      400,
      'InvalidRequest',
      'Missing required header for this request: x-amz-content-sha256',
    );
  }
  verifySignature(request, options, payload ?? 'UNSIGNED-PAYLOAD');
  const { name, resource, run } = s3.resolve(request);
  const path = decodeURIComponent(request.path.slice(1));
  const named = { service: 's3' as const, operation: name, resource: path, run };
  return { operation: name, resource, run: () => authorized(options.authorize, request, named) };
}

async function sqsCall(request: Request, { options, sqs }: Services): Promise<Call> {
  const [service, action = ''] = String(request.headers['x-amz-target']).split('.');
  if (service !== 'AmazonSQS')
    throw new ServiceError(400, 'UnknownOperationException', 'only SQS is emulated here');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.body()) {
    size += chunk.length;
    if (size > MAXIMUM_SQS_BYTES)
      throw new ServiceError(413, 'RequestEntityTooLarge', 'the request is too long');
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  verifySignature(request, options, sha256(body));
  let input: Input;
  try {
    input = JSON.parse(body.toString('utf8') || '{}');
  } catch {
    throw new ServiceError(400, 'SerializationException', 'the request is not JSON');
  }
  const resource = sqs.resourceOf(input);
  const run = () => sqs.run(action, input, request.gone);
  const named = { service: 'sqs' as const, operation: action, resource, run };
  return {
    operation: action,
    resource,
    run: async () => ({
      status: 200,
      headers: { 'content-type': 'application/x-amz-json-1.0' },
      body: JSON.stringify(await authorized(options.authorize, request, named)),
    }),
  };
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
