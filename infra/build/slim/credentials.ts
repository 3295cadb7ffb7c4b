/**
 * Stands in for the SDK's whole provider chain in a function's bundle: Lambda gives credentials in the environment.
 * Profiles, single sign-on, containers and instance metadata are for people and hosts.
 */
export { fromEnv as defaultProvider } from '@aws-sdk/credential-provider-env';
