import type { Config } from '../platform/config.ts';
import { UsageError } from '../platform/errors.ts';
import { parseTarget } from './target.ts';

const REFERENCE = /^(env|secretsmanager|ssm):/;

/**
 * Refuses a configuration that holds a password, before it is bundled: whoever may read a function's code could read it.
 *
 * @throws UsageError CONFIG_SECRET_IN_PLAIN with the path of the key, never its value
 */
export function requireReferences(config: Config): void {
  for (const [name, { url }] of Object.entries(config.databases)) {
    const text = url.replace(/^rds-iam:/, '');
    if (REFERENCE.test(text) || parseTarget(text).password === undefined) continue;
    throw new UsageError('CONFIG_SECRET_IN_PLAIN', `databases.${name}.url holds a password`, {
      subject: { database: name },
      hint: 'store the connect string as a secret, and name it: secretsmanager:ID, ssm:NAME or env:NAME',
    });
  }
}
