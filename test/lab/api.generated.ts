// @ts-nocheck for exactOptionalPropertyTypes
/**
 * hnvgw
 * 0.1.0
 * DO NOT MODIFY - This file has been generated using oazapfts.
 * See https://www.npmjs.com/package/oazapfts
 */
import * as Oazapfts from "@oazapfts/runtime";
import * as QS from "@oazapfts/runtime/query";
export const defaults: Oazapfts.Defaults<Oazapfts.CustomHeaders> = {
    headers: {},
    baseUrl: "/"
};
const oazapfts = Oazapfts.runtime(defaults);
export const servers = {};
export type Status = {
    state: "ready" | "pending" | "failed";
    /** why it is not ready */
    reason?: string;
    since: string;
};
export type RoutingDomainResource = {
    /** GUID in lower case, 8-4-4-4-12 hexadecimal digits */
    rdid: string;
    name: string;
    description?: string;
    labels?: {
        [key: string]: string;
    };
    status: Status;
};
export type RoutingDomainList = {
    items: RoutingDomainResource[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
export type Problem = {
    /** URI reference that names the kind of error: /errors/ and the code */
    "type": string;
    /** what kind of error it is, the same for every error of this code */
    title: string;
    /** the HTTP status */
    status: number;
    /** what is wrong with this request, as a sentence */
    detail: string;
    /** stable code of the kind of error */
    code: string;
    /** JSON pointer (RFC 6901) of the field of the body that is wrong */
    pointer?: string;
    /** stable name of the rule that was broken */
    rule?: string;
};
export type RoutingDomain = {
    name: string;
    description?: string;
    labels?: {
        [key: string]: string;
    };
};
export type DomainCounters = {
    decapsulated: {
        packets: number;
        /** inner packets, from their IP header on */
        bytes: number;
    };
    encapsulated: {
        packets: number;
        /** inner packets, from their IP header on */
        bytes: number;
    };
    fast: {
        packets: number;
    };
    local: {
        packets: number;
        /** inner packets, from their IP header on */
        bytes: number;
    };
    /** dropped packets by reason; a reason that never happened is absent */
    drops: {
        [key: string]: number;
    };
    /** of the routing context that this node has of the routing domain */
    nat?: {
        /** that there are now */
        sessions: number;
        /** sessions that could not begin since the routing context was made */
        refused: {
            /** there were maxSessions */
            limit: number;
            /** no external port was free */
            ports: number;
            /** the external port was bound to another inside host */
            bindings: number;
        };
    };
};
export type VirtualSubnetResource = {
    /** Virtual Subnet ID, 4096 to 16777214, unique in the datacenter */
    vsid: number;
    addressPrefixes: string[];
    isGatewaySubnet?: boolean;
    /** multicast group of the provider network that carries broadcasts and multicasts of the subnet; without it each provider address that has the VSID gets a copy */
    providerMulticastAddress?: string;
    status: Status;
};
export type VirtualSubnetList = {
    items: VirtualSubnetResource[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
export type VirtualSubnet = {
    addressPrefixes: string[];
    isGatewaySubnet?: boolean;
    /** multicast group of the provider network that carries broadcasts and multicasts of the subnet; without it each provider address that has the VSID gets a copy */
    providerMulticastAddress?: string;
};
export type LookupRecordResource = {
    /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
    id: string;
    /** IPv4 or IPv6 address */
    customerAddress: string;
    /** Virtual Subnet ID, 4096 to 16777214, unique in the datacenter */
    virtualSubnetId: number;
    /** MAC address, 02:00:00:aa:bb:cc or 02-00-00-AA-BB-CC */
    macAddress: string;
    /** IPv4 or IPv6 address */
    providerAddress: string;
    "type": "static" | "dynamic" | "l2only" | "gatewayWildcard";
    vmName?: string;
    context?: string;
    status: Status;
};
export type LookupRecordList = {
    items: LookupRecordResource[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
export type LookupRecord = {
    /** IPv4 or IPv6 address */
    customerAddress: string;
    /** Virtual Subnet ID, 4096 to 16777214, unique in the datacenter */
    virtualSubnetId: number;
    /** MAC address, 02:00:00:aa:bb:cc or 02-00-00-AA-BB-CC */
    macAddress: string;
    /** IPv4 or IPv6 address */
    providerAddress: string;
    "type"?: "static" | "dynamic" | "l2only" | "gatewayWildcard";
    vmName?: string;
    context?: string;
};
export type CustomerRouteResource = {
    /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
    id: string;
    /** Virtual Subnet ID, 4096 to 16777214, unique in the datacenter */
    virtualSubnetId: number;
    /** IPv4 or IPv6 prefix, address/length */
    destinationPrefix: string;
    /** IPv4 or IPv6 address */
    nextHop: string;
    metric: number;
    status: Status;
};
export type CustomerRouteList = {
    items: CustomerRouteResource[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
export type CustomerRoute = {
    /** Virtual Subnet ID, 4096 to 16777214, unique in the datacenter */
    virtualSubnetId: number;
    /** IPv4 or IPv6 prefix, address/length */
    destinationPrefix: string;
    /** IPv4 or IPv6 address */
    nextHop: string;
    metric?: number;
};
export type GatewayResource = {
    /** GUID in lower case, 8-4-4-4-12 hexadecimal digits */
    rdid: string;
    /** Virtual Subnet ID, 4096 to 16777214, unique in the datacenter */
    virtualSubnetId: number;
    customerAddresses: string[];
    /** MAC address, 02:00:00:aa:bb:cc or 02-00-00-AA-BB-CC */
    macAddress?: string;
    status: Status;
};
export type Gateway = {
    /** Virtual Subnet ID, 4096 to 16777214, unique in the datacenter */
    virtualSubnetId: number;
    customerAddresses: string[];
    /** MAC address, 02:00:00:aa:bb:cc or 02-00-00-AA-BB-CC */
    macAddress?: string;
};
export type NatResource = {
    /** GUID in lower case, 8-4-4-4-12 hexadecimal digits */
    rdid: string;
    /** addresses that the inside has outside, each whole or a block of its ports; "auto": one from an external address pool */
    externalAddresses: {
        /** IPv4 or IPv6 address */
        ipAddress: string;
        /** first TCP and UDP port and ICMP identifier of the block that this routing domain has of the address; without portStart and portEnd it has the whole address, with all protocols */
        portStart?: number;
        /** last of the block */
        portEnd?: number;
    }[] | "auto";
    /** external address pool for "auto"; without it the first, by name, that has room */
    pool?: string;
    /** what "auto" has given; kept as long as the pool has it. Who writes it asks for it, and gets it if it is free */
    allocatedAddress?: {
        /** IPv4 or IPv6 address */
        ipAddress: string;
        /** first TCP and UDP port and ICMP identifier of the block that this routing domain has of the address; without portStart and portEnd it has the whole address, with all protocols */
        portStart?: number;
        /** last of the block */
        portEnd?: number;
    };
    /** IPv6 prefixes whose hosts are reached from outside without address and port translation */
    externalPrefixes: {
        /** IPv6 prefix that is routed to this domain from outside */
        prefix: string;
        /** IPv6 prefix inside that `prefix` stands for outside (NPTv6, RFC 6296); without it addresses stay as they are */
        internalPrefix?: string;
    }[];
    /** ports of external addresses that lead to inside hosts */
    staticMappings: {
        protocol: "tcp" | "udp";
        /** IPv4 or IPv6 address */
        externalIpAddress: string;
        externalPort: number;
        /** IPv4 or IPv6 address */
        internalIpAddress: string;
        internalPort: number;
        /** IPv4 or IPv6 prefix, address/length */
        remoteExternalIpAddressPrefix?: string;
    }[];
    /** whole external addresses that stand for one inside host each */
    oneToOne: {
        /** IPv4 or IPv6 address */
        externalIpAddress: string;
        /** IPv4 or IPv6 address */
        internalIpAddress: string;
    }[];
    /** how long silent sessions are kept */
    timeouts: {
        /** seconds that a silent session is kept: an ICMP query (RFC 5508 REQ-2) */
        icmp: number;
        /** seconds that a silent session is kept: an established TCP connection (RFC 5382 REQ-5) */
        tcpEstablished: number;
        /** seconds that a silent session is kept: a TCP connection that begins or ends (RFC 5382 REQ-5) */
        tcpTransient: number;
        /** seconds that a silent session is kept: a UDP session (RFC 4787 REQ-5) */
        udp: number;
    };
    /** who may send to the ports that sessions have outside */
    filtering: {
        /** from whom packets are let in to a port that a session has outside (RFC 4787 section 5) */
        tcp: "endpointIndependent" | "addressDependent" | "addressAndPortDependent";
        /** from whom packets are let in to a port that a session has outside (RFC 4787 section 5) */
        udp: "endpointIndependent" | "addressDependent" | "addressAndPortDependent";
    };
    /** who hands over what is for an external address of this node: the node itself, or the router on the uplink */
    hairpinning: "local" | "external";
    /** protocols whose messages are translated too, in sessions to their well-known ports; only with whole external addresses */
    algs: ("ftp" | "sip")[];
    /** most sessions at a time; without it the domain has no limit of its own */
    maxSessions?: number;
    status: Status;
};
export type Nat = {
    /** addresses that the inside has outside, each whole or a block of its ports; "auto": one from an external address pool */
    externalAddresses?: {
        /** IPv4 or IPv6 address */
        ipAddress: string;
        /** first TCP and UDP port and ICMP identifier of the block that this routing domain has of the address; without portStart and portEnd it has the whole address, with all protocols */
        portStart?: number;
        /** last of the block */
        portEnd?: number;
    }[] | "auto";
    /** external address pool for "auto"; without it the first, by name, that has room */
    pool?: string;
    /** what "auto" has given; kept as long as the pool has it. Who writes it asks for it, and gets it if it is free */
    allocatedAddress?: {
        /** IPv4 or IPv6 address */
        ipAddress: string;
        /** first TCP and UDP port and ICMP identifier of the block that this routing domain has of the address; without portStart and portEnd it has the whole address, with all protocols */
        portStart?: number;
        /** last of the block */
        portEnd?: number;
    };
    /** IPv6 prefixes whose hosts are reached from outside without address and port translation */
    externalPrefixes?: {
        /** IPv6 prefix that is routed to this domain from outside */
        prefix: string;
        /** IPv6 prefix inside that `prefix` stands for outside (NPTv6, RFC 6296); without it addresses stay as they are */
        internalPrefix?: string;
    }[];
    /** ports of external addresses that lead to inside hosts */
    staticMappings?: {
        protocol: "tcp" | "udp";
        /** IPv4 or IPv6 address */
        externalIpAddress: string;
        externalPort: number;
        /** IPv4 or IPv6 address */
        internalIpAddress: string;
        internalPort: number;
        /** IPv4 or IPv6 prefix, address/length */
        remoteExternalIpAddressPrefix?: string;
    }[];
    /** whole external addresses that stand for one inside host each */
    oneToOne?: {
        /** IPv4 or IPv6 address */
        externalIpAddress: string;
        /** IPv4 or IPv6 address */
        internalIpAddress: string;
    }[];
    /** how long silent sessions are kept */
    timeouts?: {
        /** seconds that a silent session is kept: an ICMP query (RFC 5508 REQ-2) */
        icmp?: number;
        /** seconds that a silent session is kept: an established TCP connection (RFC 5382 REQ-5) */
        tcpEstablished?: number;
        /** seconds that a silent session is kept: a TCP connection that begins or ends (RFC 5382 REQ-5) */
        tcpTransient?: number;
        /** seconds that a silent session is kept: a UDP session (RFC 4787 REQ-5) */
        udp?: number;
    };
    /** who may send to the ports that sessions have outside */
    filtering?: {
        /** from whom packets are let in to a port that a session has outside (RFC 4787 section 5) */
        tcp?: "endpointIndependent" | "addressDependent" | "addressAndPortDependent";
        /** from whom packets are let in to a port that a session has outside (RFC 4787 section 5) */
        udp?: "endpointIndependent" | "addressDependent" | "addressAndPortDependent";
    };
    /** who hands over what is for an external address of this node: the node itself, or the router on the uplink */
    hairpinning?: "local" | "external";
    /** protocols whose messages are translated too, in sessions to their well-known ports; only with whole external addresses */
    algs?: ("ftp" | "sip")[];
    /** most sessions at a time; without it the domain has no limit of its own */
    maxSessions?: number;
};
export type NatSession = {
    /** tcp, udp, icmp, icmpv6, sctp, gre, esp, ah, or its number */
    protocol: string;
    /** which side began; hairpin: both are inside, and meet at an external address */
    direction: "outbound" | "inbound" | "hairpin";
    /** the inside host, of a hairpin session that which began; absent when the gateway itself answers */
    internalAddress?: string;
    internalPort?: number;
    /** what the inside host is outside; absent with prefix translation */
    externalAddress?: string;
    externalPort?: number;
    /** the other side as the inside host knows it */
    remoteAddress: string;
    remotePort?: number;
    /** of hairpin: the inside host behind remoteAddress */
    remoteInternalAddress?: string;
    remoteInternalPort?: number;
    /** identifier of an ICMP query, inside */
    icmpId?: number;
    /** the same outside */
    externalIcmpId?: number;
    /** of TCP */
    state?: "synSent" | "synReceived" | "established" | "finWait" | "closeWait" | "lastAck" | "timeWait" | "close" | "synSent2";
    started?: string;
    /** until it ends when nothing comes */
    timeoutSeconds: number;
    /** both sides have spoken: it is not ended for want of room */
    assured: boolean;
    /** by the inside host; of ICMP without what was fast */
    sent?: {
        packets: number;
        /** from the IP header on */
        bytes: number;
    };
    /** to the inside host; of ICMP without what was fast */
    received?: {
        packets: number;
        /** from the IP header on */
        bytes: number;
    };
};
export type NatSessionList = {
    items: NatSession[];
};
export type ForwardingResource = {
    /** GUID in lower case, 8-4-4-4-12 hexadecimal digits */
    rdid: string;
    /** network interface of the gateway: uplink.interface of its configuration, which is the default, or one of forwarding.interfaces */
    uplink?: string;
    /** VLAN of the interface that is this routing domain's alone: its prefixes may be those of others too; without it the domain shares the untagged network with all others that have no VLAN */
    vlanId?: number;
    /** addresses of the routing context on that network */
    addresses: string[];
    /** routers on that network, in a subnet of addresses; several of a family share the traffic (ECMP), by flow */
    nextHops: string[];
    /** what is routed to nextHops; without it, everything of a family that has a next hop and no NAT */
    destinationPrefixes?: string[];
    /** prefixes of the tenant that are routed as they are: packets from and to them alone pass; by default all prefixes of its virtual subnets but gateway subnets, which they can only be on a VLAN of its own: without vlanId they are named here */
    advertise?: string[];
    status: Status;
};
export type Forwarding = {
    /** network interface of the gateway: uplink.interface of its configuration, which is the default, or one of forwarding.interfaces */
    uplink?: string;
    /** VLAN of the interface that is this routing domain's alone: its prefixes may be those of others too; without it the domain shares the untagged network with all others that have no VLAN */
    vlanId?: number;
    /** addresses of the routing context on that network */
    addresses: string[];
    /** routers on that network, in a subnet of addresses; several of a family share the traffic (ECMP), by flow */
    nextHops?: string[];
    /** what is routed to nextHops; without it, everything of a family that has a next hop and no NAT */
    destinationPrefixes?: string[];
    /** prefixes of the tenant that are routed as they are: packets from and to them alone pass; by default all prefixes of its virtual subnets but gateway subnets, which they can only be on a VLAN of its own: without vlanId they are named here */
    advertise?: string[];
};
export type BgpResource = {
    /** GUID in lower case, 8-4-4-4-12 hexadecimal digits */
    rdid: string;
    /** autonomous system number of 32 bits */
    asn: number;
    /** BGP identifier, written as an IPv4 address; the first IPv4 address of forwarding or gateway by default */
    routerId?: string;
    peers: {
        /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
        name: string;
        /** IPv4 or IPv6 address */
        address: string;
        /** autonomous system number of 32 bits */
        asn: number;
        /** address of the routing context that the session is from: one of its forwarding or of its gateway; by default the one that is in the subnet of the peer, or through a tunnel that of its gateway */
        localAddress?: string;
        /** seconds without a message after which the session ends; a third of it is between keepalives (RFC 4271 section 10) */
        holdTimeSeconds: number;
        /** most hops to a peer of another AS that is on no subnet of the routing context: behind a next hop of forwarding there is no default, through a tunnel it is 2 */
        multihop?: number;
        /** most prefixes of each family that are taken; with one more the session ends, and begins again after a minute */
        maximumPrefixes: number;
        /** the session ends when BFD (RFC 5880) finds the peer gone */
        bfd?: {
            intervalMilliseconds: number;
            multiplier: number;
        };
        /** names of policies for what the peer tells, the first that matches decides; what none matches is allowed */
        ingressPolicies: string[];
        /** names of policies for what the peer is told, the first that matches decides; what none matches is allowed */
        egressPolicies: string[];
    }[];
    /** prefixes of the tenant that peers are told; without it those that forwarding advertises, or without forwarding all of its virtual subnets but gateway subnets */
    networks?: string[];
    /** whether peers are told each address of a lookup record within networks, too */
    hostRoutes: boolean;
    policies: {
        /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
        name: string;
        "type": "Allow" | "Deny" | "ModifyAttribute";
        /** these prefixes and all within them */
        matchPrefixes?: string[];
        /** an AS of one of these ranges began the route */
        matchAsnRanges?: {
            /** autonomous system number of 32 bits */
            "from": number;
            /** autonomous system number of 32 bits */
            to: number;
        }[];
        /** the route has one of these */
        matchCommunities?: string[];
        newLocalPreference?: number;
        newMed?: number;
        addCommunities?: string[];
        removeAllCommunities?: boolean;
        /** how often the own ASN is put in front of the path */
        prependAsn?: number;
    }[];
    /** most routes to one prefix that share its traffic (ECMP) */
    maximumPaths: number;
    /** how long both sides go on forwarding while the BGP speaker of one is started anew (RFC 4724) */
    gracefulRestartSeconds: number;
    status: Status;
};
export type Bgp = {
    /** autonomous system number of 32 bits */
    asn: number;
    /** BGP identifier, written as an IPv4 address; the first IPv4 address of forwarding or gateway by default */
    routerId?: string;
    /** prefixes of the tenant that peers are told; without it those that forwarding advertises, or without forwarding all of its virtual subnets but gateway subnets */
    networks?: string[];
    /** whether peers are told each address of a lookup record within networks, too */
    hostRoutes?: boolean;
    policies?: {
        /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
        name: string;
        "type": "Allow" | "Deny" | "ModifyAttribute";
        /** these prefixes and all within them */
        matchPrefixes?: string[];
        /** an AS of one of these ranges began the route */
        matchAsnRanges?: {
            /** autonomous system number of 32 bits */
            "from": number;
            /** autonomous system number of 32 bits */
            to: number;
        }[];
        /** the route has one of these */
        matchCommunities?: string[];
        newLocalPreference?: number;
        newMed?: number;
        addCommunities?: string[];
        removeAllCommunities?: boolean;
        /** how often the own ASN is put in front of the path */
        prependAsn?: number;
    }[];
    /** most routes to one prefix that share its traffic (ECMP) */
    maximumPaths?: number;
    /** how long both sides go on forwarding while the BGP speaker of one is started anew (RFC 4724) */
    gracefulRestartSeconds?: number;
};
export type BgpWrite = {
    /** autonomous system number of 32 bits */
    asn: number;
    /** BGP identifier, written as an IPv4 address; the first IPv4 address of forwarding or gateway by default */
    routerId?: string;
    peers?: {
        /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
        name: string;
        /** IPv4 or IPv6 address */
        address: string;
        /** autonomous system number of 32 bits */
        asn: number;
        /** address of the routing context that the session is from: one of its forwarding or of its gateway; by default the one that is in the subnet of the peer, or through a tunnel that of its gateway */
        localAddress?: string;
        /** key of TCP-MD5 (RFC 2385), 1 to 80 of printable ASCII without blanks; goes in and never comes out: who leaves it out in a change keeps the one that is there for the peer of that name, and null takes it away */
        password?: string | null;
        /** seconds without a message after which the session ends; a third of it is between keepalives (RFC 4271 section 10) */
        holdTimeSeconds?: number;
        /** most hops to a peer of another AS that is on no subnet of the routing context: behind a next hop of forwarding there is no default, through a tunnel it is 2 */
        multihop?: number;
        /** most prefixes of each family that are taken; with one more the session ends, and begins again after a minute */
        maximumPrefixes?: number;
        /** the session ends when BFD (RFC 5880) finds the peer gone */
        bfd?: {
            intervalMilliseconds?: number;
            multiplier?: number;
        };
        /** names of policies for what the peer tells, the first that matches decides; what none matches is allowed */
        ingressPolicies?: string[];
        /** names of policies for what the peer is told, the first that matches decides; what none matches is allowed */
        egressPolicies?: string[];
    }[];
    /** prefixes of the tenant that peers are told; without it those that forwarding advertises, or without forwarding all of its virtual subnets but gateway subnets */
    networks?: string[];
    /** whether peers are told each address of a lookup record within networks, too */
    hostRoutes?: boolean;
    policies?: {
        /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
        name: string;
        "type": "Allow" | "Deny" | "ModifyAttribute";
        /** these prefixes and all within them */
        matchPrefixes?: string[];
        /** an AS of one of these ranges began the route */
        matchAsnRanges?: {
            /** autonomous system number of 32 bits */
            "from": number;
            /** autonomous system number of 32 bits */
            to: number;
        }[];
        /** the route has one of these */
        matchCommunities?: string[];
        newLocalPreference?: number;
        newMed?: number;
        addCommunities?: string[];
        removeAllCommunities?: boolean;
        /** how often the own ASN is put in front of the path */
        prependAsn?: number;
    }[];
    /** most routes to one prefix that share its traffic (ECMP) */
    maximumPaths?: number;
    /** how long both sides go on forwarding while the BGP speaker of one is started anew (RFC 4724) */
    gracefulRestartSeconds?: number;
};
export type BgpPeerState = {
    /** as the policy has it; of the uplink’s routers their address */
    name: string;
    address: string;
    asn: number;
    /** RFC 4271 section 8.2.2; Stopped: the BGP speaker does not run */
    state: "Idle" | "Connect" | "Active" | "OpenSent" | "OpenConfirm" | "Established" | "Stopped";
    /** since when it is established */
    since?: string;
    /** before policies */
    prefixesReceived: number;
    /** of those received, what policies and limits have let in */
    prefixesAccepted: number;
    /** that the peer was told */
    prefixesSent: number;
    /** why it is not established, or was not the last time, as a sentence */
    lastError?: string;
    /** absent without BFD */
    bfd?: "up" | "down";
};
export type BgpState = {
    peers: BgpPeerState[];
    /** memory of the processes of the BGP speaker (proportional set size) */
    memoryBytes: number;
    /** why the BGP speaker has not what the policy says, as a sentence; it goes on with what it had before */
    refused?: string;
};
export type BgpRoute = {
    prefix: string;
    nextHops: string[];
    /** who told it; absent of own networks */
    peer?: string;
    /** the nearest first */
    asPath: number[];
    origin: "IGP" | "EGP" | "incomplete";
    localPreference?: number;
    med?: number;
    communities: string[];
    /** it is the best to its prefix, or shares the traffic with that */
    best: boolean;
    /** the routing context forwards by it */
    installed: boolean;
};
export type BgpRouteList = {
    items: BgpRoute[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
export type SiteConnectionResource = {
    /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
    name: string;
    /** address of the peer, or several, which are tried in turn; "any": the peer may have any address, and begins itself */
    destination: string | string[];
    /** external address of the NAT of this routing domain that the tunnel ends at; by default the first of the family of the destination, whole ones first */
    localAddress?: string;
    /** how the two sides prove who they are */
    authentication: {
        method: "psk" | "certificate";
        /** of method certificate: certificate of this side in PEM, followed by those between it and its root, if any */
        certificate?: string;
        /** of method certificate: certificates in PEM that the certificate of the site must come from */
        certificateAuthorities?: string;
        /** of method certificate: revocation lists (CRL) of these authorities in PEM; with them, the certificate of the site must be proved good by one that is current */
        revocationLists?: string;
        /** identity of this side; by default localAddress, or the subject of the certificate */
        localId?: string;
        /** identity of the site; by default its destination, or with a certificate whatever that says */
        remoteId?: string;
    };
    /** prefixes of the site */
    subnets: {
        /** IPv4 or IPv6 prefix, address/length */
        prefix: string;
        /** of several connections with the prefix that are up, the one with the lowest carries its packets */
        metric: number;
    }[];
    /** prefixes that the site may reach; by default those of the virtual subnets */
    localSubnets?: string[];
    /** the IKE SA */
    mainMode: {
        /** ciphers, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        encryptionAlgorithms: ("GCMAES256" | "GCMAES128" | "AES256" | "AES192" | "AES128" | "DES3" | "DES")[];
        /** hashes of integrity check and pseudo-random function, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        integrityAlgorithms: ("SHA512" | "SHA384" | "SHA256" | "SHA1" | "MD5")[];
        /** groups, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        diffieHellmanGroups: ("Curve25519" | "ECP384" | "ECP256" | "Group16" | "Group15" | "Group14" | "Group24" | "Group2" | "Group1")[];
        /** seconds after which the IKE SA is made anew */
        saLifeTimeSeconds: number;
    };
    /** the ESP SAs */
    quickMode: {
        /** ciphers, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        encryptionAlgorithms: ("GCMAES256" | "GCMAES128" | "AES256" | "AES192" | "AES128" | "DES3" | "DES")[];
        /** hashes of the integrity check of ciphers that have none, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        integrityAlgorithms: ("SHA512" | "SHA384" | "SHA256" | "SHA1" | "MD5")[];
        /** groups of the exchange that each new key is made with; with "None" among them the site may do without, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        perfectForwardSecrecy: ("Curve25519" | "ECP384" | "ECP256" | "Group16" | "Group15" | "Group14" | "Group24" | "Group2" | "Group1" | "None")[];
        /** seconds after which new keys are made */
        saLifeTimeSeconds: number;
        /** kilobytes after which new keys are made; without it the time alone decides */
        saLifeTimeKiloBytes?: number;
    };
    /** most that is sent to the site, kilobits a second of packets as they are inside of the tunnel */
    txBandwidthKbps?: number;
    /** most that is taken from the site, kilobits a second of packets as they are inside of the tunnel */
    rxBandwidthKbps?: number;
    /** when this side begins: at once and always again, when a packet is for the site, or never */
    initiate: "start" | "onTraffic" | "never";
    /** seconds without a packet after which the tunnel is taken down; not with initiate "start" */
    idleDisconnectSeconds?: number;
    /** whether the peer may change its address in an open connection (RFC 4555) */
    mobike: boolean;
    status: Status;
};
export type SiteConnectionList = {
    items: SiteConnectionResource[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
export type SiteConnection = {
    /** address of the peer, or several, which are tried in turn; "any": the peer may have any address, and begins itself */
    destination: string | string[];
    /** external address of the NAT of this routing domain that the tunnel ends at; by default the first of the family of the destination, whole ones first */
    localAddress?: string;
    /** prefixes of the site */
    subnets: {
        /** IPv4 or IPv6 prefix, address/length */
        prefix: string;
        /** of several connections with the prefix that are up, the one with the lowest carries its packets */
        metric?: number;
    }[];
    /** prefixes that the site may reach; by default those of the virtual subnets */
    localSubnets?: string[];
    /** the IKE SA */
    mainMode?: {
        /** ciphers, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        encryptionAlgorithms?: ("GCMAES256" | "GCMAES128" | "AES256" | "AES192" | "AES128" | "DES3" | "DES")[];
        /** hashes of integrity check and pseudo-random function, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        integrityAlgorithms?: ("SHA512" | "SHA384" | "SHA256" | "SHA1" | "MD5")[];
        /** groups, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        diffieHellmanGroups?: ("Curve25519" | "ECP384" | "ECP256" | "Group16" | "Group15" | "Group14" | "Group24" | "Group2" | "Group1")[];
        /** seconds after which the IKE SA is made anew */
        saLifeTimeSeconds?: number;
    };
    /** the ESP SAs */
    quickMode?: {
        /** ciphers, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        encryptionAlgorithms?: ("GCMAES256" | "GCMAES128" | "AES256" | "AES192" | "AES128" | "DES3" | "DES")[];
        /** hashes of the integrity check of ciphers that have none, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        integrityAlgorithms?: ("SHA512" | "SHA384" | "SHA256" | "SHA1" | "MD5")[];
        /** groups of the exchange that each new key is made with; with "None" among them the site may do without, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        perfectForwardSecrecy?: ("Curve25519" | "ECP384" | "ECP256" | "Group16" | "Group15" | "Group14" | "Group24" | "Group2" | "Group1" | "None")[];
        /** seconds after which new keys are made */
        saLifeTimeSeconds?: number;
        /** kilobytes after which new keys are made; without it the time alone decides */
        saLifeTimeKiloBytes?: number;
    };
    /** most that is sent to the site, kilobits a second of packets as they are inside of the tunnel */
    txBandwidthKbps?: number;
    /** most that is taken from the site, kilobits a second of packets as they are inside of the tunnel */
    rxBandwidthKbps?: number;
    /** when this side begins: at once and always again, when a packet is for the site, or never */
    initiate?: "start" | "onTraffic" | "never";
    /** seconds without a packet after which the tunnel is taken down; not with initiate "start" */
    idleDisconnectSeconds?: number;
    /** whether the peer may change its address in an open connection (RFC 4555) */
    mobike?: boolean;
};
export type SiteConnectionWrite = {
    /** address of the peer, or several, which are tried in turn; "any": the peer may have any address, and begins itself */
    destination: string | string[];
    /** external address of the NAT of this routing domain that the tunnel ends at; by default the first of the family of the destination, whole ones first */
    localAddress?: string;
    /** how the two sides prove who they are */
    authentication: {
        method: "psk" | "certificate";
        /** of method psk; goes in and never comes out: who leaves it out in a change keeps the one that is there */
        preSharedKey?: string;
        /** of method certificate: certificate of this side in PEM, followed by those between it and its root, if any */
        certificate?: string;
        /** of method certificate: private key of the certificate in PEM, without pass phrase; goes in and never comes out: who leaves it out in a change keeps the one that is there */
        privateKey?: string;
        /** of method certificate: certificates in PEM that the certificate of the site must come from */
        certificateAuthorities?: string;
        /** of method certificate: revocation lists (CRL) of these authorities in PEM; with them, the certificate of the site must be proved good by one that is current */
        revocationLists?: string;
        /** identity of this side; by default localAddress, or the subject of the certificate */
        localId?: string;
        /** identity of the site; by default its destination, or with a certificate whatever that says */
        remoteId?: string;
    };
    /** prefixes of the site */
    subnets: {
        /** IPv4 or IPv6 prefix, address/length */
        prefix: string;
        /** of several connections with the prefix that are up, the one with the lowest carries its packets */
        metric?: number;
    }[];
    /** prefixes that the site may reach; by default those of the virtual subnets */
    localSubnets?: string[];
    /** the IKE SA */
    mainMode?: {
        /** ciphers, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        encryptionAlgorithms?: ("GCMAES256" | "GCMAES128" | "AES256" | "AES192" | "AES128" | "DES3" | "DES")[];
        /** hashes of integrity check and pseudo-random function, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        integrityAlgorithms?: ("SHA512" | "SHA384" | "SHA256" | "SHA1" | "MD5")[];
        /** groups, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        diffieHellmanGroups?: ("Curve25519" | "ECP384" | "ECP256" | "Group16" | "Group15" | "Group14" | "Group24" | "Group2" | "Group1")[];
        /** seconds after which the IKE SA is made anew */
        saLifeTimeSeconds?: number;
    };
    /** the ESP SAs */
    quickMode?: {
        /** ciphers, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        encryptionAlgorithms?: ("GCMAES256" | "GCMAES128" | "AES256" | "AES192" | "AES128" | "DES3" | "DES")[];
        /** hashes of the integrity check of ciphers that have none, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        integrityAlgorithms?: ("SHA512" | "SHA384" | "SHA256" | "SHA1" | "MD5")[];
        /** groups of the exchange that each new key is made with; with "None" among them the site may do without, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        perfectForwardSecrecy?: ("Curve25519" | "ECP384" | "ECP256" | "Group16" | "Group15" | "Group14" | "Group24" | "Group2" | "Group1" | "None")[];
        /** seconds after which new keys are made */
        saLifeTimeSeconds?: number;
        /** kilobytes after which new keys are made; without it the time alone decides */
        saLifeTimeKiloBytes?: number;
    };
    /** most that is sent to the site, kilobits a second of packets as they are inside of the tunnel */
    txBandwidthKbps?: number;
    /** most that is taken from the site, kilobits a second of packets as they are inside of the tunnel */
    rxBandwidthKbps?: number;
    /** when this side begins: at once and always again, when a packet is for the site, or never */
    initiate?: "start" | "onTraffic" | "never";
    /** seconds without a packet after which the tunnel is taken down; not with initiate "start" */
    idleDisconnectSeconds?: number;
    /** whether the peer may change its address in an open connection (RFC 4555) */
    mobike?: boolean;
};
export type SiteChildSa = {
    /** as the IKE daemon has it: INSTALLED, REKEYING */
    state: string;
    ageSeconds: number;
    /** until new keys are made */
    rekeySeconds?: number;
    /** 8 hexadecimal digits */
    spiIn: string;
    /** 8 hexadecimal digits */
    spiOut: string;
    /** inside of UDP (RFC 3948) */
    encapsulated: boolean;
    encryption: string;
    /** absent where the cipher does it */
    integrity?: string;
    /** of its own exchange; absent for the first keys of an IKE SA */
    diffieHellmanGroup?: string;
    localSubnets: string[];
    remoteSubnets: string[];
    /** from the site, as packets are inside of the tunnel */
    received: {
        packets: number;
        bytes: number;
    };
    /** to the site */
    sent: {
        packets: number;
        bytes: number;
    };
};
export type SiteIkeSa = {
    /** as the IKE daemon has it: ESTABLISHED, CONNECTING, REKEYING */
    state: string;
    /** this side began */
    initiator: boolean;
    ageSeconds: number;
    /** until it is made anew */
    rekeySeconds?: number;
    localAddress: string;
    localPort: number;
    localId: string;
    remoteAddress: string;
    remotePort: number;
    remoteId: string;
    /** this side is behind a NAT */
    natLocal: boolean;
    /** the site is behind a NAT */
    natRemote: boolean;
    encryption: string;
    /** absent where the cipher does it */
    integrity?: string;
    /** pseudo-random function */
    prf: string;
    diffieHellmanGroup: string;
    childSas: SiteChildSa[];
};
export type SiteConnectionSas = {
    /** listening: waits for the site to begin, or for a packet to it; failed: this side, or the site, would not have it */
    state: "connected" | "connecting" | "listening" | "failed";
    /** since when it is in this state */
    since: string;
    /** it carries the packets of all its subnets; another connection with a lower metric may have some */
    carries: boolean;
    /** why it is not connected, as a sentence; the last such reason while it is */
    lastError?: string;
    lastErrorAt?: string;
    /** what does ESP; absent while this node has nothing of the connection */
    engine?: "kernel" | "userspace";
    ikeSas: SiteIkeSa[];
};
export type ProviderAddressResource = {
    /** IP address */
    address: string;
    /** name of the provider network interface */
    "interface": string;
    prefixLength: number;
    /** the node makes a link of its own over the interface, which has this VLAN tag */
    vlanId?: number;
    /** the node makes a link of its own over the interface, which has this MAC address */
    macAddress?: string;
    status: Status;
};
export type ProviderAddressList = {
    items: ProviderAddressResource[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
export type ProviderAddress = {
    /** name of the provider network interface */
    "interface": string;
    prefixLength: number;
    /** the node makes a link of its own over the interface, which has this VLAN tag */
    vlanId?: number;
    /** the node makes a link of its own over the interface, which has this MAC address */
    macAddress?: string;
};
export type ProviderRouteResource = {
    /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
    id: string;
    /** interface of a provider address */
    "interface": string;
    /** IPv4 or IPv6 prefix, address/length */
    destinationPrefix: string;
    /** IPv4 or IPv6 address */
    nextHop: string;
    metric: number;
    status: Status;
};
export type ProviderRouteList = {
    items: ProviderRouteResource[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
export type ProviderRoute = {
    /** interface of a provider address */
    "interface": string;
    /** IPv4 or IPv6 prefix, address/length */
    destinationPrefix: string;
    /** IPv4 or IPv6 address */
    nextHop: string;
    metric?: number;
};
export type ExternalAddressPoolResource = {
    /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
    name: string;
    /** IPv4 or IPv6 prefixes, all addresses of which are given out, the first and the last ones too, so none that the uplink or its routers have; at most 65,536 in all */
    prefixes: string[];
    /** ports of each block that addresses are shared in, from port 1024 on; without it each address is given out whole */
    portBlockSize?: number;
    status: Status;
};
export type ExternalAddressPoolList = {
    items: ExternalAddressPoolResource[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
export type ExternalAddressPool = {
    /** IPv4 or IPv6 prefixes, all addresses of which are given out, the first and the last ones too, so none that the uplink or its routers have; at most 65,536 in all */
    prefixes: string[];
    /** ports of each block that addresses are shared in, from port 1024 on; without it each address is given out whole */
    portBlockSize?: number;
};
export type PortResource = {
    /** name of a network interface: 1 to 15 of printable ASCII without blank, slash and colon */
    "interface": string;
    /** Virtual Subnet ID of the VM; without it the interface is outside HNV and its packets pass unmodified */
    virtualSubnetId?: number;
    /** MAC address, 02:00:00:aa:bb:cc or 02-00-00-AA-BB-CC */
    macAddress?: string;
    /** addresses that the VM may send from */
    customerAddresses: string[];
    /** MAC and customer addresses are learned from ARP, ND and DHCP instead of guarded */
    learn?: boolean;
    status: Status;
};
export type PortList = {
    items: PortResource[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
export type Port = {
    /** Virtual Subnet ID of the VM; without it the interface is outside HNV and its packets pass unmodified */
    virtualSubnetId?: number;
    /** MAC address, 02:00:00:aa:bb:cc or 02-00-00-AA-BB-CC */
    macAddress?: string;
    /** addresses that the VM may send from */
    customerAddresses?: string[];
    /** MAC and customer addresses are learned from ARP, ND and DHCP instead of guarded */
    learn?: boolean;
};
export type PolicyProviderAddress = {
    /** IP address */
    address: string;
    /** name of the provider network interface */
    "interface": string;
    prefixLength: number;
    /** the node makes a link of its own over the interface, which has this VLAN tag */
    vlanId?: number;
    /** the node makes a link of its own over the interface, which has this MAC address */
    macAddress?: string;
};
export type PolicyProviderRoute = {
    /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
    id: string;
    /** interface of a provider address */
    "interface": string;
    /** IPv4 or IPv6 prefix, address/length */
    destinationPrefix: string;
    /** IPv4 or IPv6 address */
    nextHop: string;
    metric?: number;
};
export type PolicyExternalAddressPool = {
    /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
    name: string;
    /** IPv4 or IPv6 prefixes, all addresses of which are given out, the first and the last ones too, so none that the uplink or its routers have; at most 65,536 in all */
    prefixes: string[];
    /** ports of each block that addresses are shared in, from port 1024 on; without it each address is given out whole */
    portBlockSize?: number;
};
export type PolicyVirtualSubnet = {
    /** Virtual Subnet ID, 4096 to 16777214, unique in the datacenter */
    vsid: number;
    addressPrefixes: string[];
    isGatewaySubnet?: boolean;
    /** multicast group of the provider network that carries broadcasts and multicasts of the subnet; without it each provider address that has the VSID gets a copy */
    providerMulticastAddress?: string;
};
export type PolicyLookupRecord = {
    /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
    id: string;
    /** IPv4 or IPv6 address */
    customerAddress: string;
    /** Virtual Subnet ID, 4096 to 16777214, unique in the datacenter */
    virtualSubnetId: number;
    /** MAC address, 02:00:00:aa:bb:cc or 02-00-00-AA-BB-CC */
    macAddress: string;
    /** IPv4 or IPv6 address */
    providerAddress: string;
    "type"?: "static" | "dynamic" | "l2only" | "gatewayWildcard";
    vmName?: string;
    context?: string;
};
export type PolicyCustomerRoute = {
    /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
    id: string;
    /** Virtual Subnet ID, 4096 to 16777214, unique in the datacenter */
    virtualSubnetId: number;
    /** IPv4 or IPv6 prefix, address/length */
    destinationPrefix: string;
    /** IPv4 or IPv6 address */
    nextHop: string;
    metric?: number;
};
export type PolicySiteConnection = {
    /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
    name: string;
    /** address of the peer, or several, which are tried in turn; "any": the peer may have any address, and begins itself */
    destination: string | string[];
    /** external address of the NAT of this routing domain that the tunnel ends at; by default the first of the family of the destination, whole ones first */
    localAddress?: string;
    /** prefixes of the site */
    subnets: {
        /** IPv4 or IPv6 prefix, address/length */
        prefix: string;
        /** of several connections with the prefix that are up, the one with the lowest carries its packets */
        metric?: number;
    }[];
    /** prefixes that the site may reach; by default those of the virtual subnets */
    localSubnets?: string[];
    /** the IKE SA */
    mainMode?: {
        /** ciphers, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        encryptionAlgorithms?: ("GCMAES256" | "GCMAES128" | "AES256" | "AES192" | "AES128" | "DES3" | "DES")[];
        /** hashes of integrity check and pseudo-random function, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        integrityAlgorithms?: ("SHA512" | "SHA384" | "SHA256" | "SHA1" | "MD5")[];
        /** groups, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        diffieHellmanGroups?: ("Curve25519" | "ECP384" | "ECP256" | "Group16" | "Group15" | "Group14" | "Group24" | "Group2" | "Group1")[];
        /** seconds after which the IKE SA is made anew */
        saLifeTimeSeconds?: number;
    };
    /** the ESP SAs */
    quickMode?: {
        /** ciphers, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        encryptionAlgorithms?: ("GCMAES256" | "GCMAES128" | "AES256" | "AES192" | "AES128" | "DES3" | "DES")[];
        /** hashes of the integrity check of ciphers that have none, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        integrityAlgorithms?: ("SHA512" | "SHA384" | "SHA256" | "SHA1" | "MD5")[];
        /** groups of the exchange that each new key is made with; with "None" among them the site may do without, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        perfectForwardSecrecy?: ("Curve25519" | "ECP384" | "ECP256" | "Group16" | "Group15" | "Group14" | "Group24" | "Group2" | "Group1" | "None")[];
        /** seconds after which new keys are made */
        saLifeTimeSeconds?: number;
        /** kilobytes after which new keys are made; without it the time alone decides */
        saLifeTimeKiloBytes?: number;
    };
    /** most that is sent to the site, kilobits a second of packets as they are inside of the tunnel */
    txBandwidthKbps?: number;
    /** most that is taken from the site, kilobits a second of packets as they are inside of the tunnel */
    rxBandwidthKbps?: number;
    /** when this side begins: at once and always again, when a packet is for the site, or never */
    initiate?: "start" | "onTraffic" | "never";
    /** seconds without a packet after which the tunnel is taken down; not with initiate "start" */
    idleDisconnectSeconds?: number;
    /** whether the peer may change its address in an open connection (RFC 4555) */
    mobike?: boolean;
};
export type PolicySiteConnectionWrite = {
    /** 1 to 64 of A-Z a-z 0-9 . _ : -, beginning with a letter or digit */
    name: string;
    /** address of the peer, or several, which are tried in turn; "any": the peer may have any address, and begins itself */
    destination: string | string[];
    /** external address of the NAT of this routing domain that the tunnel ends at; by default the first of the family of the destination, whole ones first */
    localAddress?: string;
    /** how the two sides prove who they are */
    authentication: {
        method: "psk" | "certificate";
        /** of method psk; goes in and never comes out: who leaves it out in a change keeps the one that is there */
        preSharedKey?: string;
        /** of method certificate: certificate of this side in PEM, followed by those between it and its root, if any */
        certificate?: string;
        /** of method certificate: private key of the certificate in PEM, without pass phrase; goes in and never comes out: who leaves it out in a change keeps the one that is there */
        privateKey?: string;
        /** of method certificate: certificates in PEM that the certificate of the site must come from */
        certificateAuthorities?: string;
        /** of method certificate: revocation lists (CRL) of these authorities in PEM; with them, the certificate of the site must be proved good by one that is current */
        revocationLists?: string;
        /** identity of this side; by default localAddress, or the subject of the certificate */
        localId?: string;
        /** identity of the site; by default its destination, or with a certificate whatever that says */
        remoteId?: string;
    };
    /** prefixes of the site */
    subnets: {
        /** IPv4 or IPv6 prefix, address/length */
        prefix: string;
        /** of several connections with the prefix that are up, the one with the lowest carries its packets */
        metric?: number;
    }[];
    /** prefixes that the site may reach; by default those of the virtual subnets */
    localSubnets?: string[];
    /** the IKE SA */
    mainMode?: {
        /** ciphers, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        encryptionAlgorithms?: ("GCMAES256" | "GCMAES128" | "AES256" | "AES192" | "AES128" | "DES3" | "DES")[];
        /** hashes of integrity check and pseudo-random function, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        integrityAlgorithms?: ("SHA512" | "SHA384" | "SHA256" | "SHA1" | "MD5")[];
        /** groups, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        diffieHellmanGroups?: ("Curve25519" | "ECP384" | "ECP256" | "Group16" | "Group15" | "Group14" | "Group24" | "Group2" | "Group1")[];
        /** seconds after which the IKE SA is made anew */
        saLifeTimeSeconds?: number;
    };
    /** the ESP SAs */
    quickMode?: {
        /** ciphers, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        encryptionAlgorithms?: ("GCMAES256" | "GCMAES128" | "AES256" | "AES192" | "AES128" | "DES3" | "DES")[];
        /** hashes of the integrity check of ciphers that have none, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        integrityAlgorithms?: ("SHA512" | "SHA384" | "SHA256" | "SHA1" | "MD5")[];
        /** groups of the exchange that each new key is made with; with "None" among them the site may do without, in the order of preference; algorithms that are broken need ipsec.allowWeakAlgorithms */
        perfectForwardSecrecy?: ("Curve25519" | "ECP384" | "ECP256" | "Group16" | "Group15" | "Group14" | "Group24" | "Group2" | "Group1" | "None")[];
        /** seconds after which new keys are made */
        saLifeTimeSeconds?: number;
        /** kilobytes after which new keys are made; without it the time alone decides */
        saLifeTimeKiloBytes?: number;
    };
    /** most that is sent to the site, kilobits a second of packets as they are inside of the tunnel */
    txBandwidthKbps?: number;
    /** most that is taken from the site, kilobits a second of packets as they are inside of the tunnel */
    rxBandwidthKbps?: number;
    /** when this side begins: at once and always again, when a packet is for the site, or never */
    initiate?: "start" | "onTraffic" | "never";
    /** seconds without a packet after which the tunnel is taken down; not with initiate "start" */
    idleDisconnectSeconds?: number;
    /** whether the peer may change its address in an open connection (RFC 4555) */
    mobike?: boolean;
};
export type PolicyRoutingDomain = {
    /** GUID in lower case, 8-4-4-4-12 hexadecimal digits */
    rdid: string;
    name: string;
    description?: string;
    labels?: {
        [key: string]: string;
    };
    virtualSubnets?: PolicyVirtualSubnet[];
    lookupRecords?: PolicyLookupRecord[];
    gateway?: Gateway;
    customerRoutes?: PolicyCustomerRoute[];
    nat?: Nat;
    forwarding?: Forwarding;
    siteConnections?: PolicySiteConnection[];
    bgp?: Bgp;
};
export type PolicyRoutingDomainWrite = {
    /** GUID in lower case, 8-4-4-4-12 hexadecimal digits */
    rdid: string;
    name: string;
    description?: string;
    labels?: {
        [key: string]: string;
    };
    virtualSubnets?: PolicyVirtualSubnet[];
    lookupRecords?: PolicyLookupRecord[];
    gateway?: Gateway;
    customerRoutes?: PolicyCustomerRoute[];
    nat?: Nat;
    forwarding?: Forwarding;
    siteConnections?: PolicySiteConnectionWrite[];
    bgp?: BgpWrite;
};
export type PolicyPort = {
    /** name of a network interface: 1 to 15 of printable ASCII without blank, slash and colon */
    "interface": string;
    /** Virtual Subnet ID of the VM; without it the interface is outside HNV and its packets pass unmodified */
    virtualSubnetId?: number;
    /** MAC address, 02:00:00:aa:bb:cc or 02-00-00-AA-BB-CC */
    macAddress?: string;
    /** addresses that the VM may send from */
    customerAddresses?: string[];
    /** MAC and customer addresses are learned from ARP, ND and DHCP instead of guarded */
    learn?: boolean;
};
export type PolicyDocument = {
    providerAddresses?: PolicyProviderAddress[];
    providerRoutes?: PolicyProviderRoute[];
    externalAddressPools?: PolicyExternalAddressPool[];
    routingDomains?: PolicyRoutingDomain[];
    ports?: PolicyPort[];
};
export type PolicyDocumentWrite = {
    providerAddresses?: PolicyProviderAddress[];
    providerRoutes?: PolicyProviderRoute[];
    externalAddressPools?: PolicyExternalAddressPool[];
    routingDomains?: PolicyRoutingDomainWrite[];
    ports?: PolicyPort[];
};
export type PolicyStatus = {
    ready: number;
    pending: number;
    failed: number;
    /** the first of them; those that failed come first */
    notReady: {
        path: string;
        state: "pending" | "failed";
        reason?: string;
    }[];
};
export type PolicyOutcome = {
    /** revision of the store, also its ETag */
    revision: number;
    /** nothing was written; the rest is what would be */
    dryRun: boolean;
    created: number;
    changed: number;
    deleted: number;
    unchanged: number;
    changes: {
        change: "created" | "changed" | "deleted";
        /** path of the resource */
        path: string;
        /** of what is changed; of secrets there is neither `before` nor `after` */
        fields?: {
            /** JSON pointer in the resource */
            pointer: string;
            before?: any;
            after?: any;
        }[];
    }[];
    /** how many changes there are that are not listed */
    moreChanges?: number;
    status?: PolicyStatus;
};
export type NodeStatus = {
    version: string;
    role: "gateway" | "host";
    instance: string;
    /** the kernel has followed the whole store once since the process began */
    ready: boolean;
    /** store revision that the kernel has caught up with */
    appliedRevision: number;
    /** store revision */
    revision: number;
    routingDomains: {
        ready: number;
        pending: number;
        failed: number;
    };
    /** what an operator should know, for example that the provider network leaves less than 1500 bytes inside */
    warnings: string[];
    /** features of this kernel */
    features: {
        name: string;
        present: boolean;
        /** what is done without it */
        note: string;
    }[];
    /** dropped packets that belong to no routing domain, by reason */
    unattributedDrops: {
        [key: string]: number;
    };
    /** sampled: at most 100 a second for each routing domain and CPU */
    recentDrops: {
        at: string;
        reason: string;
        routingDomainId?: string;
        "interface": string;
        /** bytes, as it arrived */
        length: number;
        /** beginning of the packet, hexadecimal */
        head: string;
    }[];
    /** when this process began */
    started: string;
    uptimeSeconds: number;
    /** on disk, with the write-ahead log */
    storeBytes: number;
    sequencer: {
        /** routing domains that are worked on or wait for that */
        queueLength: number;
        /** what was tried again because it had failed, since the start */
        retries: number;
    };
    /** what was found in the kernel otherwise than programmed, since the start */
    drift: {
        found: number;
        mended: number;
    };
    /** what became of addresses that were seen at ports that learn; of a host */
    learning?: {
        learned: number;
        refused: number;
        overLimit: number;
        overRate: number;
        aged: number;
    };
    /** the fast path; of a gateway */
    fastPath?: {
        /** why there is no fast path */
        reason?: string;
        /** NICs between which established connections take the fast path */
        interfaces: {
            name: string;
            /** in the driver of the NIC (XDP), or behind it */
            carrier: "native" | "generic";
            /** why it is not native */
            reason?: string;
        }[];
    };
    /** the first 100 resources that are not ready */
    problems: {
        path: string;
        state: "ready" | "pending" | "failed";
        /** why it is not ready */
        reason?: string;
        since: string;
    }[];
};
export type Health = {
    alive: true;
};
export type Readiness = {
    ready: boolean;
};
export type NodeEvent = {
    /** resume after it with Last-Event-ID or ?since= */
    id: string;
    at: string;
    /** resource: a write was committed; policy: a whole policy was; status: what the kernel has of a resource changed; drift: the kernel was not as programmed; nat: NAT refuses sessions; siteConnection: a tunnel came up or went down, or could not be made; bgpPeer: a BGP session was established or ended; reset: events before this one are lost, read the resources anew */
    "type": "resource" | "policy" | "status" | "drift" | "nat" | "siteConnection" | "bgpPeer" | "reset";
    /** GUID in lower case, 8-4-4-4-12 hexadecimal digits */
    routingDomainId?: string;
    /** path of the resource that it is about */
    path?: string;
    /** resource: created, changed, deleted; status: the state; drift: found, mended; nat: refusing, recovered; siteConnection: up, down, failed; bgpPeer: up, down */
    what?: string;
    /** why, or what was found, as a sentence */
    reason?: string;
    /** store revision, of resource and policy */
    revision?: number;
    /** of policy: how many resources */
    created?: number;
    changed?: number;
    deleted?: number;
};
export type TokenResource = {
    /** 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit */
    id: string;
    /** admin: all; operator: all but tokens and the secrets of others; tenant: its routing domains */
    role: "admin" | "operator" | "tenant";
    /** RDIDs of a tenant, which must have one at least; none for the other roles */
    routingDomains?: string[];
    /** when it ends, RFC 3339; never when absent */
    expires?: string;
    /** when it was created */
    created: string;
};
export type TokenList = {
    items: TokenResource[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
export type Token = {
    /** admin: all; operator: all but tokens and the secrets of others; tenant: its routing domains */
    role: "admin" | "operator" | "tenant";
    /** RDIDs of a tenant, which must have one at least; none for the other roles */
    routingDomains?: string[];
    /** when it ends, RFC 3339; never when absent */
    expires?: string;
};
export type NewToken = {
    /** 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit */
    id: string;
    /** admin: all; operator: all but tokens and the secrets of others; tenant: its routing domains */
    role: "admin" | "operator" | "tenant";
    /** RDIDs of a tenant, which must have one at least; none for the other roles */
    routingDomains?: string[];
    /** when it ends, RFC 3339; never when absent */
    expires?: string;
    /** when it was created */
    created: string;
    /** the token, shown here only: what follows `Authorization: Bearer` */
    token: string;
};
export type AuditRecord = {
    /** ascending in time */
    id: number;
    at: string;
    /** id of the token, `local` for the unix socket, `-` when nobody knows; with status 401 the id that was claimed */
    actor: string;
    /** address of the client, or `unix` */
    "from": string;
    method: string;
    /** without the query */
    path: string;
    /** HTTP status of the answer */
    status: number;
    /** code of the refusal */
    code?: string;
    /** rule that was broken; with status 401, why */
    rule?: string;
    /** store revision of the write */
    revision?: number;
};
export type AuditList = {
    items: AuditRecord[];
    /** cursor of the next page; absent on the last one */
    next?: string;
};
/**
 * List routing domains
 */
export function listRoutingDomain({ limit, cursor }: {
    limit?: number;
    cursor?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: RoutingDomainList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains${QS.query(QS.explode({
        limit,
        cursor
    }))}`, {
        ...opts
    });
}
/**
 * Read a routing domain
 */
export function getRoutingDomain({ rdid, ifNoneMatch }: {
    rdid: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: RoutingDomainResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a routing domain
 */
export function putRoutingDomain({ wait, rdid, ifMatch, ifNoneMatch, routingDomain }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    routingDomain: RoutingDomain;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: RoutingDomainResource;
    } | {
        status: 201;
        data: RoutingDomainResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    } | {
        status: 507;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: routingDomain,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a routing domain (JSON Merge Patch, RFC 7396)
 */
export function patchRoutingDomain({ wait, rdid, ifMatch, body }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: RoutingDomainResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a routing domain
 */
export function deleteRoutingDomain({ wait, rdid, ifMatch }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * Read the traffic counters of a routing domain
 */
export function getDomainCounters({ rdid }: {
    rdid: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: DomainCounters;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/counters`, {
        ...opts
    });
}
/**
 * List virtual subnets
 */
export function listVirtualSubnet({ limit, cursor, rdid }: {
    limit?: number;
    cursor?: string;
    rdid: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: VirtualSubnetList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/virtual-subnets${QS.query(QS.explode({
        limit,
        cursor
    }))}`, {
        ...opts
    });
}
/**
 * Read a virtual subnet
 */
export function getVirtualSubnet({ rdid, vsid, ifNoneMatch }: {
    rdid: string;
    vsid: number;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: VirtualSubnetResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/virtual-subnets/${encodeURIComponent(vsid)}`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a virtual subnet
 */
export function putVirtualSubnet({ wait, rdid, vsid, ifMatch, ifNoneMatch, virtualSubnet }: {
    wait?: string;
    rdid: string;
    vsid: number;
    ifMatch?: string;
    ifNoneMatch?: string;
    virtualSubnet: VirtualSubnet;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: VirtualSubnetResource;
    } | {
        status: 201;
        data: VirtualSubnetResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/virtual-subnets/${encodeURIComponent(vsid)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: virtualSubnet,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a virtual subnet (JSON Merge Patch, RFC 7396)
 */
export function patchVirtualSubnet({ wait, rdid, vsid, ifMatch, body }: {
    wait?: string;
    rdid: string;
    vsid: number;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: VirtualSubnetResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/virtual-subnets/${encodeURIComponent(vsid)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a virtual subnet
 */
export function deleteVirtualSubnet({ wait, rdid, vsid, ifMatch }: {
    wait?: string;
    rdid: string;
    vsid: number;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/virtual-subnets/${encodeURIComponent(vsid)}${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * List lookup records
 */
export function listLookupRecord({ limit, cursor, rdid }: {
    limit?: number;
    cursor?: string;
    rdid: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: LookupRecordList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/lookup-records${QS.query(QS.explode({
        limit,
        cursor
    }))}`, {
        ...opts
    });
}
/**
 * Read a lookup record
 */
export function getLookupRecord({ rdid, id, ifNoneMatch }: {
    rdid: string;
    id: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: LookupRecordResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/lookup-records/${encodeURIComponent(id)}`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a lookup record
 */
export function putLookupRecord({ wait, rdid, id, ifMatch, ifNoneMatch, lookupRecord }: {
    wait?: string;
    rdid: string;
    id: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    lookupRecord: LookupRecord;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: LookupRecordResource;
    } | {
        status: 201;
        data: LookupRecordResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    } | {
        status: 507;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/lookup-records/${encodeURIComponent(id)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: lookupRecord,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a lookup record (JSON Merge Patch, RFC 7396)
 */
export function patchLookupRecord({ wait, rdid, id, ifMatch, body }: {
    wait?: string;
    rdid: string;
    id: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: LookupRecordResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/lookup-records/${encodeURIComponent(id)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a lookup record
 */
export function deleteLookupRecord({ wait, rdid, id, ifMatch }: {
    wait?: string;
    rdid: string;
    id: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/lookup-records/${encodeURIComponent(id)}${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * List customer routes
 */
export function listCustomerRoute({ limit, cursor, rdid }: {
    limit?: number;
    cursor?: string;
    rdid: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: CustomerRouteList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/customer-routes${QS.query(QS.explode({
        limit,
        cursor
    }))}`, {
        ...opts
    });
}
/**
 * Read a customer route
 */
export function getCustomerRoute({ rdid, id, ifNoneMatch }: {
    rdid: string;
    id: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: CustomerRouteResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/customer-routes/${encodeURIComponent(id)}`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a customer route
 */
export function putCustomerRoute({ wait, rdid, id, ifMatch, ifNoneMatch, customerRoute }: {
    wait?: string;
    rdid: string;
    id: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    customerRoute: CustomerRoute;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: CustomerRouteResource;
    } | {
        status: 201;
        data: CustomerRouteResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    } | {
        status: 507;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/customer-routes/${encodeURIComponent(id)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: customerRoute,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a customer route (JSON Merge Patch, RFC 7396)
 */
export function patchCustomerRoute({ wait, rdid, id, ifMatch, body }: {
    wait?: string;
    rdid: string;
    id: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: CustomerRouteResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/customer-routes/${encodeURIComponent(id)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a customer route
 */
export function deleteCustomerRoute({ wait, rdid, id, ifMatch }: {
    wait?: string;
    rdid: string;
    id: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/customer-routes/${encodeURIComponent(id)}${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * Read a gateway
 */
export function getGateway({ rdid, ifNoneMatch }: {
    rdid: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: GatewayResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/gateway`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a gateway
 */
export function putGateway({ wait, rdid, ifMatch, ifNoneMatch, gateway }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    gateway: Gateway;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: GatewayResource;
    } | {
        status: 201;
        data: GatewayResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/gateway${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: gateway,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a gateway (JSON Merge Patch, RFC 7396)
 */
export function patchGateway({ wait, rdid, ifMatch, body }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: GatewayResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/gateway${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a gateway
 */
export function deleteGateway({ wait, rdid, ifMatch }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/gateway${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * Read a NAT policy
 */
export function getNat({ rdid, ifNoneMatch }: {
    rdid: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: NatResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/nat`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a NAT policy
 */
export function putNat({ wait, rdid, ifMatch, ifNoneMatch, nat }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    nat: Nat;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: NatResource;
    } | {
        status: 201;
        data: NatResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    } | {
        status: 507;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/nat${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: nat,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a NAT policy (JSON Merge Patch, RFC 7396)
 */
export function patchNat({ wait, rdid, ifMatch, body }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: NatResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    } | {
        status: 507;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/nat${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a NAT policy
 */
export function deleteNat({ wait, rdid, ifMatch }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/nat${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * List the NAT sessions of a routing domain on this node
 */
export function listNatSessions({ protocol, direction, internalAddress, internalPort, externalAddress, externalPort, remoteAddress, remotePort, state, limit, rdid }: {
    protocol?: string;
    direction?: "outbound" | "inbound" | "hairpin";
    internalAddress?: string;
    internalPort?: number;
    externalAddress?: string;
    externalPort?: number;
    remoteAddress?: string;
    remotePort?: number;
    state?: "synSent" | "synReceived" | "established" | "finWait" | "closeWait" | "lastAck" | "timeWait" | "close" | "synSent2";
    limit?: number;
    rdid: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: NatSessionList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/nat/sessions${QS.query(QS.explode({
        protocol,
        direction,
        internalAddress,
        internalPort,
        externalAddress,
        externalPort,
        remoteAddress,
        remotePort,
        state,
        limit
    }))}`, {
        ...opts
    });
}
/**
 * Read a forwarding policy
 */
export function getForwarding({ rdid, ifNoneMatch }: {
    rdid: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ForwardingResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/forwarding`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a forwarding policy
 */
export function putForwarding({ wait, rdid, ifMatch, ifNoneMatch, forwarding }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    forwarding: Forwarding;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ForwardingResource;
    } | {
        status: 201;
        data: ForwardingResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/forwarding${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: forwarding,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a forwarding policy (JSON Merge Patch, RFC 7396)
 */
export function patchForwarding({ wait, rdid, ifMatch, body }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ForwardingResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/forwarding${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a forwarding policy
 */
export function deleteForwarding({ wait, rdid, ifMatch }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/forwarding${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * Read a BGP router
 */
export function getBgp({ rdid, ifNoneMatch }: {
    rdid: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: BgpResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/bgp`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a BGP router
 */
export function putBgp({ wait, rdid, ifMatch, ifNoneMatch, bgp }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    bgp: BgpWrite;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: BgpResource;
    } | {
        status: 201;
        data: BgpResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/bgp${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: bgp,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a BGP router (JSON Merge Patch, RFC 7396)
 */
export function patchBgp({ wait, rdid, ifMatch, body }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: BgpResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/bgp${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a BGP router
 */
export function deleteBgp({ wait, rdid, ifMatch }: {
    wait?: string;
    rdid: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/bgp${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * Read what the BGP peers of a routing domain are doing just now
 */
export function getBgpState({ rdid }: {
    rdid: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: BgpState;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/bgp/peers`, {
        ...opts
    });
}
/**
 * Read what the gateway's own BGP is doing just now
 */
export function getUplinkBgp(opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: BgpState;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>("/v1/uplink-bgp", {
        ...opts
    });
}
/**
 * List the routes that BGP of a routing domain knows
 */
export function listBgpRoutes({ limit, cursor, prefix, peer, rdid }: {
    limit?: number;
    cursor?: string;
    prefix?: string;
    peer?: string;
    rdid: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: BgpRouteList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/bgp/routes${QS.query(QS.explode({
        limit,
        cursor,
        prefix,
        peer
    }))}`, {
        ...opts
    });
}
/**
 * List site connections
 */
export function listSiteConnection({ limit, cursor, rdid }: {
    limit?: number;
    cursor?: string;
    rdid: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: SiteConnectionList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/site-connections${QS.query(QS.explode({
        limit,
        cursor
    }))}`, {
        ...opts
    });
}
/**
 * Read a site connection
 */
export function getSiteConnection({ rdid, name, ifNoneMatch }: {
    rdid: string;
    name: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: SiteConnectionResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/site-connections/${encodeURIComponent(name)}`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a site connection
 */
export function putSiteConnection({ wait, rdid, name, ifMatch, ifNoneMatch, siteConnection }: {
    wait?: string;
    rdid: string;
    name: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    siteConnection: SiteConnectionWrite;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: SiteConnectionResource;
    } | {
        status: 201;
        data: SiteConnectionResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    } | {
        status: 507;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/site-connections/${encodeURIComponent(name)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: siteConnection,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a site connection (JSON Merge Patch, RFC 7396)
 */
export function patchSiteConnection({ wait, rdid, name, ifMatch, body }: {
    wait?: string;
    rdid: string;
    name: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: SiteConnectionResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/site-connections/${encodeURIComponent(name)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a site connection
 */
export function deleteSiteConnection({ wait, rdid, name, ifMatch }: {
    wait?: string;
    rdid: string;
    name: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/site-connections/${encodeURIComponent(name)}${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * Read what the tunnel of a site connection is doing just now
 */
export function getSiteConnectionSas({ rdid, name }: {
    rdid: string;
    name: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: SiteConnectionSas;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/routing-domains/${encodeURIComponent(rdid)}/site-connections/${encodeURIComponent(name)}/sas`, {
        ...opts
    });
}
/**
 * List provider addresses
 */
export function listProviderAddress({ limit, cursor }: {
    limit?: number;
    cursor?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ProviderAddressList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/provider-addresses${QS.query(QS.explode({
        limit,
        cursor
    }))}`, {
        ...opts
    });
}
/**
 * Read a provider address
 */
export function getProviderAddress({ address, ifNoneMatch }: {
    address: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ProviderAddressResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/provider-addresses/${encodeURIComponent(address)}`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a provider address
 */
export function putProviderAddress({ wait, address, ifMatch, ifNoneMatch, providerAddress }: {
    wait?: string;
    address: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    providerAddress: ProviderAddress;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ProviderAddressResource;
    } | {
        status: 201;
        data: ProviderAddressResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/provider-addresses/${encodeURIComponent(address)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: providerAddress,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a provider address (JSON Merge Patch, RFC 7396)
 */
export function patchProviderAddress({ wait, address, ifMatch, body }: {
    wait?: string;
    address: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ProviderAddressResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/provider-addresses/${encodeURIComponent(address)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a provider address
 */
export function deleteProviderAddress({ wait, address, ifMatch }: {
    wait?: string;
    address: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/provider-addresses/${encodeURIComponent(address)}${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * List provider routes
 */
export function listProviderRoute({ limit, cursor }: {
    limit?: number;
    cursor?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ProviderRouteList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/provider-routes${QS.query(QS.explode({
        limit,
        cursor
    }))}`, {
        ...opts
    });
}
/**
 * Read a provider route
 */
export function getProviderRoute({ id, ifNoneMatch }: {
    id: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ProviderRouteResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/provider-routes/${encodeURIComponent(id)}`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a provider route
 */
export function putProviderRoute({ wait, id, ifMatch, ifNoneMatch, providerRoute }: {
    wait?: string;
    id: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    providerRoute: ProviderRoute;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ProviderRouteResource;
    } | {
        status: 201;
        data: ProviderRouteResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/provider-routes/${encodeURIComponent(id)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: providerRoute,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a provider route (JSON Merge Patch, RFC 7396)
 */
export function patchProviderRoute({ wait, id, ifMatch, body }: {
    wait?: string;
    id: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ProviderRouteResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/provider-routes/${encodeURIComponent(id)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a provider route
 */
export function deleteProviderRoute({ wait, id, ifMatch }: {
    wait?: string;
    id: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/provider-routes/${encodeURIComponent(id)}${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * List external address pools
 */
export function listExternalAddressPool({ limit, cursor }: {
    limit?: number;
    cursor?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ExternalAddressPoolList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/external-address-pools${QS.query(QS.explode({
        limit,
        cursor
    }))}`, {
        ...opts
    });
}
/**
 * Read a external address pool
 */
export function getExternalAddressPool({ name, ifNoneMatch }: {
    name: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ExternalAddressPoolResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/external-address-pools/${encodeURIComponent(name)}`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a external address pool
 */
export function putExternalAddressPool({ wait, name, ifMatch, ifNoneMatch, externalAddressPool }: {
    wait?: string;
    name: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    externalAddressPool: ExternalAddressPool;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ExternalAddressPoolResource;
    } | {
        status: 201;
        data: ExternalAddressPoolResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/external-address-pools/${encodeURIComponent(name)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: externalAddressPool,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a external address pool (JSON Merge Patch, RFC 7396)
 */
export function patchExternalAddressPool({ wait, name, ifMatch, body }: {
    wait?: string;
    name: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: ExternalAddressPoolResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/external-address-pools/${encodeURIComponent(name)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a external address pool
 */
export function deleteExternalAddressPool({ wait, name, ifMatch }: {
    wait?: string;
    name: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/external-address-pools/${encodeURIComponent(name)}${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * List ports
 */
export function listPort({ limit, cursor }: {
    limit?: number;
    cursor?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: PortList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/ports${QS.query(QS.explode({
        limit,
        cursor
    }))}`, {
        ...opts
    });
}
/**
 * Read a port
 */
export function getPort({ $interface, ifNoneMatch }: {
    $interface: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: PortResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/ports/${encodeURIComponent($interface)}`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create or replace a port
 */
export function putPort({ wait, $interface, ifMatch, ifNoneMatch, port }: {
    wait?: string;
    $interface: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    port: Port;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: PortResource;
    } | {
        status: 201;
        data: PortResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    } | {
        status: 507;
        data: Problem;
    }>(`/v1/ports/${encodeURIComponent($interface)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: port,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Change fields of a port (JSON Merge Patch, RFC 7396)
 */
export function patchPort({ wait, $interface, ifMatch, body }: {
    wait?: string;
    $interface: string;
    ifMatch?: string;
    body: {};
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: PortResource;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/ports/${encodeURIComponent($interface)}${QS.query(QS.explode({
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PATCH",
        body,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Remove a port
 */
export function deletePort({ wait, $interface, ifMatch }: {
    wait?: string;
    $interface: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/ports/${encodeURIComponent($interface)}${QS.query(QS.explode({
        wait
    }))}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * Read the whole desired state; a tenant reads its routing domains
 */
export function getPolicy({ ifNoneMatch }: {
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: PolicyDocument;
    } | {
        status: 304;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>("/v1/policy", {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Replace the whole desired state
 */
export function putPolicy({ dryRun, wait, ifMatch, policyDocument }: {
    dryRun?: "true" | "false";
    wait?: string;
    ifMatch?: string;
    policyDocument: PolicyDocumentWrite;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: PolicyOutcome;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    } | {
        status: 507;
        data: Problem;
    }>(`/v1/policy${QS.query(QS.explode({
        dryRun,
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: policyDocument,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Create or replace what the document names, and leave the rest
 */
export function applyPolicy({ dryRun, wait, ifMatch, policyDocument }: {
    dryRun?: "true" | "false";
    wait?: string;
    ifMatch?: string;
    policyDocument: PolicyDocumentWrite;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: PolicyOutcome;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 409;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    } | {
        status: 507;
        data: Problem;
    }>(`/v1/policy${QS.query(QS.explode({
        dryRun,
        wait
    }))}`, oazapfts.json({
        ...opts,
        method: "POST",
        body: policyDocument,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    }));
}
/**
 * Read the status of the node
 */
export function getStatus(opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: NodeStatus;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>("/v1/status", {
        ...opts
    });
}
/**
 * Find out whether the process is alive
 */
export function getHealth(opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: Health;
    } | {
        status: 429;
        data: Problem;
    }>("/healthz", {
        ...opts
    });
}
/**
 * Find out whether the kernel has followed the store
 */
export function getReadiness(opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: Readiness;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    } | {
        status: 503;
        data: Readiness;
    }>("/readyz", {
        ...opts
    });
}
/**
 * Follow what happens on the node
 */
export function followEvents({ since, routingDomainId, $type, lastEventId }: {
    since?: string;
    routingDomainId?: string;
    $type?: "resource" | "policy" | "status" | "drift" | "nat" | "siteConnection" | "bgpPeer" | "reset";
    lastEventId?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: NodeEvent;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/events${QS.query(QS.explode({
        since,
        routingDomainId,
        "type": $type
    }))}`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "last-event-id": lastEventId
        })
    });
}
/**
 * List tokens
 */
export function listToken({ limit, cursor }: {
    limit?: number;
    cursor?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: TokenList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/tokens${QS.query(QS.explode({
        limit,
        cursor
    }))}`, {
        ...opts
    });
}
/**
 * Read what is known of a token
 */
export function getToken({ id, ifNoneMatch }: {
    id: string;
    ifNoneMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: TokenResource;
    } | {
        status: 304;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/tokens/${encodeURIComponent(id)}`, {
        ...opts,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-none-match": ifNoneMatch
        })
    });
}
/**
 * Create a token, or change what it may do
 */
export function putToken({ id, ifMatch, ifNoneMatch, token }: {
    id: string;
    ifMatch?: string;
    ifNoneMatch?: string;
    token: Token;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: TokenResource;
    } | {
        status: 201;
        data: NewToken;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/tokens/${encodeURIComponent(id)}`, oazapfts.json({
        ...opts,
        method: "PUT",
        body: token,
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch,
            "if-none-match": ifNoneMatch
        })
    }));
}
/**
 * Revoke a token, at once
 */
export function deleteToken({ id, ifMatch }: {
    id: string;
    ifMatch?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 204;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 404;
        data: Problem;
    } | {
        status: 412;
        data: Problem;
    } | {
        status: 413;
        data: Problem;
    } | {
        status: 415;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/tokens/${encodeURIComponent(id)}`, {
        ...opts,
        method: "DELETE",
        headers: oazapfts.mergeHeaders(opts?.headers, {
            "if-match": ifMatch
        })
    });
}
/**
 * Read the audit log, the newest record first
 */
export function listAudit({ limit, cursor }: {
    limit?: number;
    cursor?: string;
}, opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: AuditList;
    } | {
        status: 400;
        data: Problem;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>(`/v1/audit${QS.query(QS.explode({
        limit,
        cursor
    }))}`, {
        ...opts
    });
}
/**
 * Read a consistent copy of the store
 */
export function getBackup(opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: Blob;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>("/v1/backup", {
        ...opts
    });
}
/**
 * Read the metrics of the node
 */
export function getMetrics(opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: string;
    } | {
        status: 401;
        data: Problem;
    } | {
        status: 403;
        data: Problem;
    } | {
        status: 429;
        data: Problem;
    } | {
        status: 500;
        data: Problem;
    }>("/metrics", {
        ...opts
    });
}
/**
 * Read this document
 */
export function getOpenApi(opts?: Oazapfts.RequestOpts) {
    return oazapfts.fetchJson<{
        status: 200;
        data: object;
    } | {
        status: 429;
        data: Problem;
    }>("/openapi.json", {
        ...opts
    });
}
