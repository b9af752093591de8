// The nonce of this page's content security policy, for libraries that make style elements.
export const cspNonce: string =
  globalThis.document?.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce ?? "";
