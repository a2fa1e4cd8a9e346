export const NDKRelaySet = undefined;
export const NDKSubscriptionCacheUsage = undefined;
export const fetchRelayInformation = undefined;
