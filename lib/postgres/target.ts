import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { UsageError } from '../platform/errors.ts';

/** Where a database is and how to authenticate. Printed only through {@link describeTarget}. */
export interface ConnectionTarget {
  host: string;
  port: number;
  database: string;
  user: string | undefined;
  password: string | undefined;
  /** As libpq's sslmode; `undefined` lets the host decide (see tls.ts). */
  sslmode: string | undefined;
  /** PEM file of the certificate authorities to trust instead of those known, or `system` for these alone. */
  sslrootcert: string | undefined;
  applicationName: string | undefined;
  connectTimeoutSeconds: number | undefined;
}

type Parameters = Record<string, string>;

const DEFAULT_PORT = 5432;

/** libpq's `PG*` variables that matter here, by parameter name. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  service: 'PGSERVICE',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  connect_timeout: 'PGCONNECT_TIMEOUT',
};

/**
 * Reads a connect string: a `postgres://` URL or libpq's `key=value` form (with `service=`), completed from the
 * environment's `PG*` variables where `environment` is given.
 *
 * @throws UsageError DATABASE_URL_INVALID; the message never quotes the string, which may hold a password
 */
export function parseTarget(text: string, environment: NodeJS.ProcessEnv = {}): ConnectionTarget {
  const given = /^postgres(ql)?:\/\//.test(text) ? fromUrl(text) : fromConninfo(text);
  const fromEnvironment: Parameters = {};
  for (const [name, variable] of Object.entries(ENVIRONMENT)) {
    const value = environment[variable];
    if (value) fromEnvironment[name] = value;
  }
  const service = given.service ?? fromEnvironment.service;
  const merged = { ...fromEnvironment, ...(service ? readService(service, environment) : {}), ...given };
  const user = merged.user;
  return {
    host: merged.host ?? '127.0.0.1',
    port: merged.port === undefined ? DEFAULT_PORT : parsePort(merged.port),
    database: merged.dbname ?? user ?? 'postgres',
    user,
    password: merged.password,
    sslmode: merged.sslmode,
    sslrootcert: merged.sslrootcert,
    applicationName: merged.application_name,
    connectTimeoutSeconds: merged.connect_timeout === undefined ? undefined : Number(merged.connect_timeout),
  };
}

/** `user@host:port/database`: everything but the secrets. */
export function describeTarget(target: ConnectionTarget): string {
  return `${target.user ? `${target.user}@` : ''}${target.host}:${target.port}/${target.database}`;
}

/** What is wrong with a connect string, without quoting it. */
export function invalid(reason: string): UsageError {
  return new UsageError('DATABASE_URL_INVALID', `connect string not understood: ${reason}`, {
    hint: "use postgres://user:password@host:5432/database or libpq's form: host=… dbname=… user=…",
  });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw invalid('the port is not a number from 1 to 65535');
  return port;
}

/** Parameters of a connection URL that are read here; others are libpq's own business. */
const URL_PARAMETERS = ['sslmode', 'sslrootcert', 'connect_timeout', 'application_name', 'service'] as const;

function fromUrl(text: string): Parameters {
  const parameters: Parameters = {};
  const put = (name: string, value: string | null | undefined) => {
    if (value) parameters[name] = value;
  };
  try {
    const url = new URL(text);
    // libpq: `postgres:///db?host=/var/run/postgresql` names a socket directory, or a host, as a parameter.
    for (const name of ['host', 'port', 'user', 'password', 'dbname', ...URL_PARAMETERS])
      put(name, url.searchParams.get(name));
    put('host', decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1'));
    put('port', url.port);
    put('user', decodeURIComponent(url.username));
    put('password', decodeURIComponent(url.password));
    put('dbname', decodeURIComponent(url.pathname.slice(1)));
  } catch {
    throw invalid('it is not a valid URL');
  }
  return parameters;
}

/** One `key = value` of a conninfo string; values with blanks are in single quotes with backslash escapes. */
const CONNINFO_PAIR = /\s*([A-Za-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))/y;

function fromConninfo(text: string): Parameters {
  const parameters: Parameters = {};
  const trimmed = text.trimEnd();
  if (trimmed !== '' && !trimmed.includes('=')) return { dbname: trimmed.trim() };
  CONNINFO_PAIR.lastIndex = 0;
  while (CONNINFO_PAIR.lastIndex < trimmed.length) {
    const at = CONNINFO_PAIR.lastIndex;
    const match = CONNINFO_PAIR.exec(trimmed);
    if (!match) throw invalid(`no "key=value" at character ${at + 1}`);
    parameters[match[1]!.toLowerCase()] = (match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1');
  }
  return parameters;
}

function readService(service: string, environment: NodeJS.ProcessEnv): Parameters {
  const files = [environment.PGSERVICEFILE ?? path.join(homedir(), '.pg_service.conf')];
  if (environment.PGSYSCONFDIR) files.push(path.join(environment.PGSYSCONFDIR, 'pg_service.conf'));
  for (const file of files) {
    if (!existsSync(file)) continue;
    let section = '';
    const found: Parameters = {};
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const text = line.trim();
      if (text === '' || text.startsWith('#')) continue;
      if (text.startsWith('[')) section = text.slice(1, -1);
      else if (section === service && text.includes('=')) {
        const at = text.indexOf('=');
        found[text.slice(0, at).trim()] = text.slice(at + 1).trim();
      }
    }
    if (Object.keys(found).length > 0) return found;
  }
  throw new UsageError('DATABASE_SERVICE_UNKNOWN', `service "${service}" is in no service file`, {
    hint: `add a section [${service}] to ~/.pg_service.conf or set PGSERVICEFILE`,
  });
}
