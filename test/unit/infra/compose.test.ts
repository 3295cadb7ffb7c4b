import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { LOCALSTACK_VERSION } from '../../../infra/localstack/python.ts';

/* There is no Docker where the tests run: what can be said of the compose file without it. */

const read = (file: string) =>
  readFileSync(path.resolve(import.meta.dirname, '../../../infra', file), 'utf8');
const compose = read('docker-compose.yml');
const script = read('localstack/compose.ts');

/** Variables of the file with their defaults. */
const variables = Object.fromEntries(
  [...compose.matchAll(/\$\{(\w+):-([^}]*)\}/g)].map(([, name, fallback]) => [name, fallback]),
);

it('every image is pinned, LocalStack to the version that also runs without Docker', () => {
  const images = [...compose.matchAll(/image: (\S+)/g)].map(([, image]) => image);
  expect(images).toEqual([
    `postgres:\${POSTGRES_VERSION:-18.1}`,
    `localstack/localstack:\${LOCALSTACK_VERSION:-${LOCALSTACK_VERSION}}`,
  ]);
});

it('the script that starts it has the same ports, and asks for no variable that has no default', () => {
  expect(Object.keys(variables).sort()).toEqual([
    'LOCALSTACK_AUTH_TOKEN',
    'LOCALSTACK_PORT',
    'LOCALSTACK_VERSION',
    'POSTGRES_PORT',
    'POSTGRES_VERSION',
  ]);
  for (const name of ['POSTGRES_PORT', 'LOCALSTACK_PORT'])
    expect(script).toContain(`process.env.${name} ?? '${variables[name]}'`);
  expect(compose).not.toMatch(/\$\{\w+\}|\$\w/);
});

it('the databases and the owner that the script connects as are those that PostgreSQL is begun with', () => {
  const sql = read('localstack/databases.sql');
  const [, owner, password] = /create role (\w+) login createrole password '([^']+)'/.exec(sql)!;
  expect(script.match(/postgres:\/\/\w+:[\w-]+@/g)).toEqual(
    Array(2).fill(`postgres://${owner}:${password}@`),
  );
  for (const [, database] of script.matchAll(/(?:inside|outside)\('(\w+)'\)/g))
    expect(sql).toContain(`create database ${database} owner ${owner};`);
});

it('the functions join the network of the databases', () => {
  const network = /^networks:\n {2}default:\n {4}name: (\S+)$/m.exec(compose)![1];
  expect(compose).toContain(`LAMBDA_DOCKER_NETWORK: ${network}`);
  expect(script).toContain('@postgres:5432/');
  expect(compose).toMatch(/^ {2}postgres:$/m);
});
