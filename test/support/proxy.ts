import { createServer, connect as dial, type Server, type Socket } from 'node:net';

/**
 * A TCP proxy before a server that fails on demand, for faults that a database cannot be asked for.
 */
export interface FaultyProxy {
  readonly port: number;
  /** Breaks every connection with a reset. */
  reset(): void;
  /**
   * From now on bytes of existing connections vanish in both directions and nobody is told: a half-open connection.
   *
   * @param probedMs the server's side ends after so long, as TCP keepalive would end it: its probes are answered by the
   *   kernel below this proxy
   */
  blackHole(probedMs?: number): void;
  /**
   * The same once a client has sent a message that contains `text`; the message itself arrives.
   *
   * @returns ends the wait for it
   */
  blackHoleAfter(text: string, probedMs?: number): () => void;
  /**
   * Server's answers vanish once the client has sent a message that contains `text`; the message itself arrives.
   *
   * @returns when the message has come by
   */
  dropAnswersAfter(text: string): Promise<void>;
  /** New connections are refused by closing them at once, or served again. */
  refuse(on: boolean): void;
  close(): Promise<void>;
}

interface Link {
  client: Socket;
  server: Socket;
  hole: boolean;
  deaf: boolean;
  /** The end of what the client sent last: a text may lie in two pieces. */
  tail: Buffer;
}

/** More than any text that is waited for is long. */
const TAIL_BYTES = 256;

export async function startProxy(target: { host: string; port: number }): Promise<FaultyProxy> {
  const links = new Set<Link>();
  const blackHole = (probedMs?: number) => {
    for (const link of links) {
      link.hole = true;
      if (probedMs !== undefined) setTimeout(() => link.server.destroy(), probedMs).unref();
    }
  };
  let refusing = false;
  let trigger: { text: string; met: () => void } | undefined;
  let ambush: { text: string; probedMs: number | undefined } | undefined;
  const listener: Server = createServer((client) => {
    if (refusing) {
      client.destroy();
      return;
    }
    const server = dial(target.port, target.host);
    const link: Link = { client, server, hole: false, deaf: false, tail: Buffer.alloc(0) };
    links.add(link);
    client.setNoDelay(true);
    server.setNoDelay(true);
    client.on('data', (chunk) => {
      if (link.hole) return;
      const sent = Buffer.concat([link.tail, chunk]);
      const sends = (text: string) => sent.includes(text, Math.max(0, link.tail.length - text.length + 1));
      const struck = ambush && sends(ambush.text) ? ambush : undefined;
      if (trigger !== undefined && sends(trigger.text)) {
        link.deaf = true;
        trigger.met();
      }
      link.tail = sent.subarray(-TAIL_BYTES);
      server.write(chunk);
      if (struck) {
        blackHole(struck.probedMs);
        ambush = undefined;
      }
    });
    server.on('data', (chunk) => {
      if (!link.hole && !link.deaf) client.write(chunk);
    });
    const end = () => {
      links.delete(link);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.on('error', end);
      // A black hole swallows the end of the other side as well.
      socket.on('close', () => {
        if (!link.hole && !link.deaf) end();
      });
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const destroyAll = () => {
    for (const link of links) {
      link.client.resetAndDestroy();
      link.server.destroy();
    }
    links.clear();
  };
  return {
    port: (listener.address() as { port: number }).port,
    reset: destroyAll,
    blackHole,
    blackHoleAfter(text, probedMs) {
      const mine = { text, probedMs };
      ambush = mine;
      return () => {
        if (ambush === mine) ambush = undefined;
      };
    },
    dropAnswersAfter(text) {
      return new Promise((met) => {
        trigger = { text, met };
      });
    },
    refuse(on) {
      refusing = on;
    },
    async close() {
      trigger = undefined;
      destroyAll();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
