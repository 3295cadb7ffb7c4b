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
  /** Server's answers vanish once the client has sent a message that contains `text`; the message itself arrives. */
  dropAnswersAfter(text: string): void;
  /** New connections are refused by closing them at once, or served again. */
  refuse(on: boolean): void;
  close(): Promise<void>;
}

interface Link {
  client: Socket;
  server: Socket;
  hole: boolean;
  deaf: boolean;
}

export async function startProxy(target: { host: string; port: number }): Promise<FaultyProxy> {
  const links = new Set<Link>();
  const blackHole = (probedMs?: number) => {
    for (const link of links) {
      link.hole = true;
      if (probedMs !== undefined) setTimeout(() => link.server.destroy(), probedMs).unref();
    }
  };
  let refusing = false;
  let trigger: string | undefined;
  let ambush: { text: string; probedMs: number | undefined } | undefined;
  const listener: Server = createServer((client) => {
    if (refusing) {
      client.destroy();
      return;
    }
    const server = dial(target.port, target.host);
    const link: Link = { client, server, hole: false, deaf: false };
    links.add(link);
    client.setNoDelay(true);
    server.setNoDelay(true);
    client.on('data', (chunk) => {
      if (link.hole) return;
      if (trigger !== undefined && chunk.includes(trigger)) link.deaf = true;
      server.write(chunk);
      if (ambush && chunk.includes(ambush.text)) {
        blackHole(ambush.probedMs);
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
      trigger = text;
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
