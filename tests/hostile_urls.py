"""URLs to which no webhook may ever be sent, each with what its name would resolve to.

``cases(port)`` puts ``port`` wherever a URL may name one, so that a listener there can tell whether anybody came.
"""

from __future__ import annotations

#: What stands for "resolves to": a name with a public address, so that only its form can be what is refused.
_PUBLIC = ("93.184.215.14",)

#: Each form of a URL that is refused before any name is looked up. ``{p}`` is ``:port``.
_FORMS = r"""
http://hooks.example.com{p}/ http://93.184.215.14{p}/ HTTP://hooks.example.com{p}/ ftp://hooks.example.com{p}/
file:///etc/passwd file://localhost/etc/passwd gopher://hooks.example.com{p}/_x dict://hooks.example.com{p}/ ws://hooks.example.com{p}/
wss://hooks.example.com{p}/ javascript:alert(1) data:text/plain,x //hooks.example.com{p}/ hooks.example.com{p}/
https:hooks.example.com{p}/ https:/hooks.example.com{p}/ https:///hooks.example.com{p}/ https://{p}/ https:// https
https://user@hooks.example.com{p}/ https://user:password@hooks.example.com{p}/ https://@hooks.example.com{p}/
https://127.0.0.1{p}@hooks.example.com/ https://hooks.example.com{p}@127.0.0.1/ https://hooks.example.com%40127.0.0.1{p}/
https://hooks.example.com\@127.0.0.1{p}/ https://127.0.0.1{p}\@hooks.example.com/ https://hooks.example.com\127.0.0.1{p}/
https://hooks.example.com#@127.0.0.1{p}/ https://hooks.example.com{p}/#fragment https://hooks.example.com{p}#
https://127.0.0.1{p}/ https://127.0.0.1.{p}/ https://127.1{p}/ https://127.0.1{p}/ https://127.000.000.001{p}/
https://0{p}/ https://0.0.0.0{p}/ https://00.0.0.0{p}/ https://2130706433{p}/ https://0x7f000001{p}/ https://0x7F000001{p}/
https://0x7f.1{p}/ https://0x7f.0x0.0x0.0x1{p}/ https://0x7f.0.0.1{p}/ https://017700000001{p}/ https://0177.0.0.1{p}/ https://0177.0.0.01{p}/
https://127.0.0.0x1{p}/ https://127.0.0.01{p}/ https://0x0a000001{p}/ https://167772161{p}/ https://10.1{p}/ https://10.0.0.1{p}/
https://192.168.0.1{p}/ https://192.168.257{p}/ https://172.16.0.1{p}/ https://169.254.169.254{p}/latest/meta-data/
https://2852039166{p}/ https://0xa9fea9fe{p}/ https://0xa9.0xfe.0xa9.0xfe{p}/ https://0251.0376.0251.0376{p}/ https://169.254.43518{p}/
https://100.64.0.1{p}/ https://100.100.100.200{p}/ https://198.18.0.1{p}/ https://224.0.0.1{p}/ https://255.255.255.255{p}/ https://93.184.215.14{p}/
https://256.256.256.256{p}/ https://1.2.3.4.5{p}/ https://999{p}/ https://0x{p}/ https://hooks.example.0x7f{p}/ https://hooks.example.1{p}/
https://[::1]{p}/ https://[::]{p}/ https://[0:0:0:0:0:0:0:1]{p}/ https://[::ffff:127.0.0.1]{p}/ https://[::ffff:7f00:1]{p}/ https://[::127.0.0.1]{p}/
https://[64:ff9b::127.0.0.1]{p}/ https://[64:ff9b::a9fe:a9fe]{p}/ https://[2002:7f00:1::1]{p}/ https://[fe80::1]{p}/ https://[fe80::1%25lo]{p}/
https://[fe80::1%lo]{p}/ https://[fc00::1]{p}/ https://[fd00:ec2::254]{p}/ https://[fec0::1]{p}/ https://[ff02::1]{p}/ https://[2606:2800:21f::1]{p}/
https://[::1{p}/ https://::1{p}/ https://::1]{p}/ https://[127.0.0.1]{p}/ https://[]{p}/ https://[hooks.example.com]{p}/ https://[::1]x{p}/
https://localhost{p}/ https://LOCALHOST{p}/ https://localhost.{p}/ https://ip6-localhost{p}/ https://metadata{p}/ https://kubernetes{p}/ https://redis{p}/
https://.example.com{p}/ https://example..com{p}/ https://-x.example.com{p}/ https://x-.example.com{p}/ https://hooks.example.com.{p}/ https://.{p}/
https://ex%61mple.com{p}/ https://127.0.0.1%00.example.com{p}/ https://%31%32%37.0.0.1{p}/ https://exa$mple.com{p}/ https://exa*mple.com{p}/ https://exa,mple.com{p}/
https://１２７.０.０.１{p}/ https://①②⑦.⓪.⓪.①{p}/ https://127。0。0。1{p}/ https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ{p}/ https://exämple{p}/ https://ex​ample.com{p}/ https://ex‮ample.com{p}/
https://a⁄b.example.com{p}/ https://a／b.example.com{p}/ https://a：80.example.com{p}/ https://a＠b.example.com{p}/ https://a？b.example.com{p}/ https://a＃b.example.com{p}/
https://hooks.example.com:22/ https://hooks.example.com:25/ https://hooks.example.com:80/ https://hooks.example.com:6379/ https://hooks.example.com:0/ https://hooks.example.com:65536/
https://hooks.example.com:99999/ https://hooks.example.com:/ https://hooks.example.com:-1/ https://hooks.example.com:0x1bb/ https://hooks.example.com:４４３/ https://hooks.example.com:443:443/
https://hooks.example.com{p}/é https://hooks.example.com{p}/\ https://hooks.example.com{p}/{{x}} https://hooks.example.com{p}/" https://hooks.example.com{p}/<x> https://hooks.example.com{p}/^ https://hooks.example.com{p}/|
http+unix://%2Fvar%2Frun%2Fdocker.sock/ https+unix://%2Fvar%2Frun%2Fdocker.sock/ unix:///var/run/docker.sock unix:/var/run/docker.sock
https://unix:%2Fvar%2Frun%2Fdocker.sock/ https://%2Fvar%2Frun%2Fdocker.sock/ ldap://hooks.example.com{p}/ ldaps://hooks.example.com{p}/
tftp://hooks.example.com{p}/ sftp://hooks.example.com{p}/ netdoc:///etc/passwd jar:https://hooks.example.com{p}/x.jar!/ view-source:https://hooks.example.com{p}/
blob:https://hooks.example.com{p}/ about:blank mailto:a@hooks.example.com tel:112 vbscript:x redis://hooks.example.com:6379/ smb://hooks.example.com/x phar://x
https://0300.0250.0.1{p}/ https://0xC0A80001{p}/ https://3232235521{p}/ https://030052000001{p}/ https://0xc0.0250.1{p}/ https://192.11010049{p}/
https://4294967295{p}/ https://4294967296{p}/ https://00000000000000000000177.0.0.1{p}/ https://127.0.0.1.0x0{p}/
https://[0:0:0:0:0:ffff:127.0.0.1]{p}/ https://[::ffff:127.1]{p}/ https://[::ffff:0x7f.1]{p}/ https://[::ffff:169.254.169.254]{p}/ https://[::ffff:a9fe:a9fe]{p}/
https://[::ffff:0:7f00:1]{p}/ https://[64:ff9b:1::7f00:1]{p}/ https://[2001::1]{p}/ https://[::1%25eth0]{p}/ https://[::1].{p}/ https://[v1.x]{p}/ https://[::1]@hooks.example.com{p}/
https://hooks.example.com;@127.0.0.1{p}/ https://hooks.example.com&@127.0.0.1{p}/ https://hooks.example.com%2f@127.0.0.1{p}/ https://hooks.example.com%23@127.0.0.1{p}/
https://127.0.0.1{p}/@hooks.example.com/ https://127.0.0.1%20{p}/ https://hooks.example.com%0d%0aHost:127.0.0.1{p}/ https://hooks.example.com%00{p}/ https:\\\\127.0.0.1{p}/
https://𝟏𝟐𝟕.𝟎.𝟎.𝟏{p}/ https://١٢٧.٠.٠.١{p}/ https://127.0.0．1{p}/ https://127.0.0｡1{p}/ https://ｌｏｃａｌｈｏｓｔ{p}/ https://locaⅼhost{p}/ https://loc­alhost{p}/ https://127.0.0.1⁠{p}/
""".split()  # noqa: E501

#: Forms with white space or control characters, which cannot stand in the list above.
_CONTROLS = [
    " https://hooks.example.com{p}/", "https://hooks.example.com{p}/ ", "https://hooks.example.com{p}/a b",
    "https://hooks.example.com{p}/\n", "https://hooks.example.com{p}/\r\nHost: 127.0.0.1",
    "https://hooks.exa mple.com/",
    "https://hooks.example.com{p}/\tx", "https://hooks.example.com\t{p}/", "https://hooks.example.com\n{p}/",
    "https://127.0.0.1\x00.example.com{p}/", "https://hooks.example.com{p}/\x00", "\x00https://hooks.example.com{p}/",
    "https://hooks.example.com{p}/\x7f", "https://hooks.example.com{p}/ HTTP/1.1\r\nX: y", "java\nscript:alert(1)",
    "https://hooks.example.com{p}/" + "a" * 2048, "https://" + "a" * 64 + ".example.com{p}/",
    "https://" + "a.b" * 90 + ".example.com{p}/", "",
]  # fmt: skip

#: Addresses that nothing may be sent to, whatever name leads there.
ADDRESSES = """
0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.0.0.1 10.255.255.255 100.64.0.0 100.64.0.1 100.100.100.200 100.127.255.255
127.0.0.1 127.0.0.53 127.1.2.3 127.255.255.255 169.254.0.0 169.254.169.254 169.254.170.2 169.254.255.255 172.16.0.0
172.16.0.1 172.31.255.255 192.0.0.0 192.0.0.8 192.0.0.170 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.0 192.168.1.1
192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
:: ::1 ::2 ::7f00:1 ::127.0.0.1 ::93.184.215.14 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:93.184.215.14
::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b::93.184.215.14 64:ff9b:1::127.0.0.1 100::1
100:0:0:1::1 2001::1 2001:0:53aa:64c:0:0:80ff:fffe 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002::1 2002:7f00:1::1
2002:a9fe:a9fe::1 2002:5db8:d70e::1 2606:2800:21f::5efe:127.0.0.1 2606:2800:21f:0:200:5efe:10.0.0.1 3fff::1 4000::1
5f00::1 8000::1 fc00::1 fd00:ec2::254 fdff:ffff::1 fe80::1 fe80::1%lo fe80::a9fe:a9fe febf::1 fec0::1 fec0:0:0:1::1
ff01::1 ff02::1 ff05::1:3 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
""".split()

#: Names that lead inside by themselves: of clouds' metadata, and of services that answer with the address in the name.
_NAMES = [
    ("metadata.google.internal", "169.254.169.254"), ("instance-data.ec2.internal", "169.254.169.254"),
    ("metadata.azure.internal", "169.254.169.254"), ("metadata.tencentyun.com", "169.254.0.23"),
    ("rancher-metadata.rancher.internal", "169.254.169.250"),
    ("kubernetes.default.svc.cluster.local", "10.96.0.1"), ("host.docker.internal", "192.168.65.2"),
    ("127.0.0.1.nip.io", "127.0.0.1"), ("7f000001.nip.io", "127.0.0.1"), ("localtest.me", "127.0.0.1"),
    ("spoofed.burpcollaborator.net", "127.0.0.1"), ("xn--loclhost-k4a.example.com", "127.0.0.1"),
    ("www.169-254-169-254.sslip.io", "169.254.169.254"), ("a.root.local", "::ffff:10.0.0.1"),
]  # fmt: skip


def cases(port: int) -> list[tuple[str, tuple[str, ...]]]:
    """Return (URL, addresses of its name) for every case."""
    forms = [(form.replace("{p}", f":{port}").replace("{{", "{").replace("}}", "}"), _PUBLIC)
             for form in (*_FORMS, *_CONTROLS)]  # fmt: skip
    named = [(f"https://rebound-{n}.example.com:{port}/", (address,)) for n, address in enumerate(ADDRESSES)]
    mixed = [
        # A public address beside a forbidden one does not help, in whichever order they come.
        (f"https://mixed.example.com:{port}/", ("93.184.215.14", "127.0.0.1")),
        (f"https://mixed.example.com:{port}/", ("127.0.0.1", "93.184.215.14")),
        (f"https://mixed.example.com:{port}/", ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", "127.0.0.1")),
        (f"https://mixed.example.com:{port}/", ("93.184.215.14", "::1")),
        (f"https://mixed.example.com:{port}/", ("93.184.215.14", "2606:2800:21f::1", "fd00::1")),
        *((f"https://{name}:{port}/", (address,)) for name, address in _NAMES),
        (f"https://nowhere.example.com:{port}/", ()),
        (f"https://garbled.example.com:{port}/", ("not an address",)),
        (f"https://garbled.example.com:{port}/", ("127.1",)),
        (f"https://garbled.example.com:{port}/", ("0x7f000001",)),
    ]
    return forms + named + mixed
