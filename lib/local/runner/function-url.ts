import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FunctionHost } from './function-host.ts';

/** Lambda takes at most 6 MB in a synchronous request. */
const MAXIMUM_BODY_BYTES = 6 * 1024 ** 2;
/** Bodies of these types come as text, all others as base64. */
const TEXT_TYPES = /^(text\/|application\/(json|xml|javascript|x-www-form-urlencoded))/;

/** What a handler may answer: this object, or anything else, which is sent as JSON. */
interface UrlResponse {
  readonly statusCode?: number;
  readonly headers?: Readonly<Record<string, string | number | boolean>>;
  readonly cookies?: readonly string[];
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
}

/** The function URL of one function, on a free port of 127.0.0.1. */
export class FunctionUrl {
  private readonly server: Server;
  private readonly host: FunctionHost;

  private constructor(host: FunctionHost) {
    this.host = host;
    this.server = createServer((message, response) => {
      this.answer(message, response).catch(() => response.destroy());
    });
  }

  static async start(host: FunctionHost): Promise<FunctionUrl> {
    const url = new FunctionUrl(host);
    await new Promise<void>((resolve, reject) => {
      url.server.once('error', reject);
      url.server.listen(0, '127.0.0.1', resolve);
    });
    return url;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private async answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(message);
    if (body === undefined) return sendJson(response, 413, { Message: 'Request Entity Too Large' });
    const { value, error } = await this.host.invoke(urlEvent(message, body));
    if (error) return sendJson(response, 502, { Message: 'Internal Server Error' });
    const answer = value as UrlResponse | null;
    if (typeof answer !== 'object' || answer === null || answer.statusCode === undefined) {
      return sendJson(response, 200, value);
    }
    const headers = Object.entries(answer.headers ?? {}).map(([name, each]) => [name, String(each)] as const);
    response.writeHead(answer.statusCode, {
      'content-type': 'application/json',
      ...Object.fromEntries(headers.map(([name, each]) => [name.toLowerCase(), each])),
      ...(answer.cookies && { 'set-cookie': [...answer.cookies] }),
    });
    response.end(Buffer.from(answer.body ?? '', answer.isBase64Encoded ? 'base64' : 'utf8'));
  }
}

async function readBody(message: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message) {
    size += chunk.length;
    if (size <= MAXIMUM_BODY_BYTES) chunks.push(chunk);
  }
  return size <= MAXIMUM_BODY_BYTES ? Buffer.concat(chunks) : undefined;
}

/** The event of a function URL, version 2.0 of the payload. */
function urlEvent(message: IncomingMessage, body: Buffer): object {
  const url = new URL(message.url ?? '/', `http://${message.headers.host ?? 'localhost'}`);
  const headers = Object.fromEntries(
    Object.entries(message.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(',') : value,
    ]),
  );
  const text = TEXT_TYPES.test(message.headers['content-type'] ?? '');
  const parameters: Record<string, string> = {};
  for (const [name, value] of url.searchParams) {
    parameters[name] = parameters[name] === undefined ? value : `${parameters[name]},${value}`;
  }
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: url.pathname,
    rawQueryString: url.search.slice(1),
    headers,
    ...(Object.keys(parameters).length > 0 && { queryStringParameters: parameters }),
    requestContext: {
      accountId: 'anonymous',
      apiId: 'local',
      domainName: url.host,
      domainPrefix: 'local',
      http: {
        method: message.method,
        path: url.pathname,
        protocol: `HTTP/${message.httpVersion}`,
        sourceIp: message.socket.remoteAddress,
        userAgent: message.headers['user-agent'],
      },
      requestId: randomUUID(),
      routeKey: '$default',
      stage: '$default',
      time: new Date().toUTCString(),
      timeEpoch: Date.now(),
    },
    ...(body.length > 0 && { body: body.toString(text ? 'utf8' : 'base64') }),
    isBase64Encoded: body.length > 0 && !text,
  };
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}
