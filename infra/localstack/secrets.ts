import {
  CreateSecretCommand,
  PutSecretValueCommand,
  ResourceExistsException,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';

/** Stores the connect strings where infra/localstack/skytools.config.ts looks for them. */
export async function storeConnectStrings(databases: Readonly<Record<string, string>>): Promise<void> {
  const client = new SecretsManagerClient();
  for (const [name, SecretString] of Object.entries(databases)) {
    const id = `skytools/${name}`;
    await client.send(new CreateSecretCommand({ Name: id, SecretString })).catch((error: unknown) => {
      if (!(error instanceof ResourceExistsException)) throw error;
      return client.send(new PutSecretValueCommand({ SecretId: id, SecretString }));
    });
  }
  client.destroy();
}
