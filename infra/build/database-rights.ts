import type { Config, DatabaseConfig } from '../../lib/platform/config.ts';
import { rdsRegion } from '../../lib/platform/rds-token.ts';
import { functions } from '../functions.ts';
import { ACCOUNT, allow, joined, PARTITION, policy, REGION, type Resources } from './rights.ts';

const capital = (name: string) => name.replace(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase());

/**
 * The right to connect by IAM authentication (`rds-iam:`), for each function that connects, as resources of CloudFormation:
 * as the users that the configuration names, at the instances that it names. A user that lies behind a reference is not
 * known here, nor is an instance without its `rdsResourceId`: any one of the account stands for it.
 */
export function databaseRights(config: Config): Resources {
  const users = Object.values(config.databases).flatMap(databaseUser);
  if (users.length === 0) return {};
  const statements = [allow('rds-db:connect', ...users)];
  return Object.fromEntries(
    functions
      .filter(({ connects }) => connects)
      .map(({ name }) => [
        `${capital(name)}DatabaseRights`,
        policy('databases', `${capital(name)}Role`, statements),
      ]),
  );
}

/** The ARN that RDS asks for (Amazon RDS User Guide, "Creating and using an IAM policy for IAM database access"). */
function databaseUser({ url, rdsResourceId = '*' }: DatabaseConfig): unknown[] {
  const location = /^rds-iam:(.*)$/s.exec(url)?.[1];
  if (location === undefined) return [];
  const named = location.includes('://') && URL.canParse(location) ? new URL(location) : undefined;
  // What IAM reads as a pattern or a variable stands for any one character.
  const user = named ? decodeURIComponent(named.username).replace(/[$*?]/g, '?') : '*';
  const region = (named && rdsRegion(named.hostname)) ?? REGION;
  return [joined('arn:', PARTITION, ':rds-db:', region, ':', ACCOUNT, `:dbuser:${rdsResourceId}/${user}`)];
}
