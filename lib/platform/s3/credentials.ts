import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { homedir } from 'node:os';
import path from 'node:path';
import { SkytoolsError } from '../errors.ts';
import type { Credentials } from './sigv4.ts';

/** Credentials and when to ask for new ones. */
export interface FoundCredentials extends Credentials {
  /** Milliseconds since 1970; undefined: they do not expire. */
  expiresAt?: number;
}

/** The instance metadata service answers in a millisecond or is not there. */
const METADATA_TIMEOUT_MS = 1_000;

/**
 * Finds AWS credentials where the SDKs look: environment, shared credentials file, container endpoint, instance
 * metadata (version 2). The order is that of the AWS "default credential provider chain", without single sign-on.
 *
 * @throws SkytoolsError S3_NO_CREDENTIALS
 */
export async function findCredentials(env: NodeJS.ProcessEnv = process.env): Promise<FoundCredentials> {
  const found =
    fromEnvironment(env) ??
    (await fromSharedFile(env)) ??
    (await fromContainer(env)) ??
    (await fromInstance(env));
  if (found) return found;
  throw new SkytoolsError('S3_NO_CREDENTIALS', 'no aws credentials found', {
    hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, write ~/.aws/credentials, or give the instance a role',
    retryable: true,
  });
}

function fromEnvironment(env: NodeJS.ProcessEnv): FoundCredentials | undefined {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  if (!accessKeyId || !secretAccessKey) return undefined;
  const sessionToken = env.AWS_SESSION_TOKEN;
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

async function fromSharedFile(env: NodeJS.ProcessEnv): Promise<FoundCredentials | undefined> {
  const file = env.AWS_SHARED_CREDENTIALS_FILE ?? path.join(homedir(), '.aws', 'credentials');
  const text = await readFile(file, 'utf8').catch(() => '');
  const profile = parseProfile(text, env.AWS_PROFILE ?? 'default');
  const accessKeyId = profile.aws_access_key_id;
  const secretAccessKey = profile.aws_secret_access_key;
  if (!accessKeyId || !secretAccessKey) return undefined;
  const sessionToken = profile.aws_session_token;
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

/** The `name = value` lines of one section of an ini file. */
function parseProfile(text: string, profile: string): Record<string, string> {
  const values: Record<string, string> = {};
  let section = '';
  for (const line of text.split('\n')) {
    const head = /^\s*\[([^\]]*)\]/.exec(line);
    if (head) section = head[1]!.trim();
    const pair = /^\s*([A-Za-z0-9_]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (pair && section === profile) values[pair[1]!] = pair[2]!;
  }
  return values;
}

interface RoleCredentials {
  AccessKeyId: string;
  SecretAccessKey: string;
  Token: string;
  Expiration: string;
}

function fromRole(text: string): FoundCredentials {
  const role = JSON.parse(text) as RoleCredentials;
  return {
    accessKeyId: role.AccessKeyId,
    secretAccessKey: role.SecretAccessKey,
    sessionToken: role.Token,
    expiresAt: Date.parse(role.Expiration),
  };
}

async function fromContainer(env: NodeJS.ProcessEnv): Promise<FoundCredentials | undefined> {
  const relative = env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI;
  const url = relative ? `http://169.254.170.2${relative}` : env.AWS_CONTAINER_CREDENTIALS_FULL_URI;
  if (!url) return undefined;
  const tokenFile = env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE;
  const token = tokenFile
    ? (await readFile(tokenFile, 'utf8')).trim()
    : env.AWS_CONTAINER_AUTHORIZATION_TOKEN;
  const answer = await ask('GET', url, token ? { authorization: token } : {});
  return answer === undefined ? undefined : fromRole(answer);
}

async function fromInstance(env: NodeJS.ProcessEnv): Promise<FoundCredentials | undefined> {
  if (env.AWS_EC2_METADATA_DISABLED?.toLowerCase() === 'true') return undefined;
  const base = env.AWS_EC2_METADATA_SERVICE_ENDPOINT ?? 'http://169.254.169.254';
  const token = await ask('PUT', `${base}/latest/api/token`, {
    'x-aws-ec2-metadata-token-ttl-seconds': '300',
  });
  if (token === undefined) return undefined;
  const headers = { 'x-aws-ec2-metadata-token': token };
  const roles = `${base}/latest/meta-data/iam/security-credentials/`;
  const role = (await ask('GET', roles, headers))?.split('\n')[0]?.trim();
  if (!role) return undefined;
  const answer = await ask('GET', roles + role, headers);
  return answer === undefined ? undefined : fromRole(answer);
}

/** The body of a 200 answer; undefined when nobody answers or the answer is another one. */
function ask(method: string, url: string, headers: Record<string, string>): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(
      url,
      { method, headers, timeout: METADATA_TIMEOUT_MS },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => resolve(response.statusCode === 200 ? body : undefined));
        response.on('error', () => resolve(undefined));
      },
    );
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(undefined));
    request.end();
  });
}
