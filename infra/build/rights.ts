/** What somebody may call, as a statement of IAM. */
export interface Statement {
  Effect: 'Allow';
  Action: string[];
  Resource: unknown[];
}

/** Resources of a CloudFormation template by their logical names. */
export type Resources = Record<string, { Type: string; Properties: Record<string, unknown> }>;

/** A CloudFormation value made of parts; references among them. */
export const joined = (...parts: unknown[]) => ({ 'Fn::Join': ['', parts] });
export const PARTITION = { Ref: 'AWS::Partition' };
export const REGION = { Ref: 'AWS::Region' };
export const ACCOUNT = { Ref: 'AWS::AccountId' };

export const allow = (action: string | string[], ...resources: unknown[]): Statement => ({
  Effect: 'Allow',
  Action: [action].flat(),
  Resource: resources,
});

/** A policy beside those that serverless.yml gives to one of its roles. */
export const policy = (name: string, role: string, statements: readonly Statement[]): Resources[string] => ({
  Type: 'AWS::IAM::Policy',
  Properties: {
    PolicyName: name,
    Roles: [{ Ref: role }],
    PolicyDocument: { Version: '2012-10-17', Statement: statements },
  },
});
