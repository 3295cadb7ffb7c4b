import { createHmac } from 'node:crypto';

/** Marks a secret whose bytes are given in base64. */
const BASE64_PREFIX = 'whsec_';

/**
 * The headers that tell who sent a request and when, as the Standard Webhooks specification 1.0.0 has them
 * (`webhook-id`, `webhook-timestamp`, `webhook-signature`): HMAC-SHA256 over `id.timestamp.body`, one signature for each secret.
 *
 * @param secrets as text, or in base64 after `whsec_`
 */
export function signatureHeaders(
  id: string,
  body: string,
  secrets: readonly string[],
  now: Date,
): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp };
  if (secrets.length === 0) return headers;
  const signatures = secrets.map((secret) => {
    const key = secret.startsWith(BASE64_PREFIX)
      ? Buffer.from(secret.slice(BASE64_PREFIX.length), 'base64')
      : Buffer.from(secret);
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return { ...headers, 'webhook-signature': signatures.join(' ') };
}
