import { fromEnv } from '@aws-sdk/credential-provider-env';
import { fromHttp } from '@aws-sdk/credential-provider-http';

/**
 * Stands in for the SDK's whole provider chain in a function's bundle: Lambda gives credentials in the environment,
 * a container task at an HTTP address. Profiles, single sign-on and instance metadata are for people and hosts.
 */
export const defaultProvider = () => {
  const inContainer =
    process.env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI ?? process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI;
  return inContainer ? fromHttp() : fromEnv();
};
