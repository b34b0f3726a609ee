/*
   Rules that a run of bytes cannot express, built in with the feature `yara`. Examples are hexadecimal, so that this file is not what it describes.

   Of the meta section are used: category, severity (info | low | medium | high | critical) or score (0 to 100), confidence (0.0 to 1.0), description,
   remediation, reference; match_hex and pass_hex are examples, tried whenever the rules are compiled.
*/

rule webshell_php {
    meta:
        severity = "high"
        confidence = 0.85
        description = "is a PHP page that runs what a request sends to it"
        remediation = "put it on no web server; if it was found on one, treat that server as taken over"
        reference = "MITRE ATT&CK T1505.003"
        match_hex = "3c3f70687020406576616c286261736536345f6465636f646528245f504f53545b2778275d29293b203f3e"
        pass_hex = "3c3f706870206563686f206261736536345f6465636f64652824726f775b277469746c65275d293b203f3e"
    strings:
        $open = "<?php" nocase
        $run = /\b(eval|assert|system|passthru|shell_exec|popen|proc_open|create_function)\s*\(\s*([a-z0-9_]{1,40}\s*\(\s*){0,3}\$_(GET|POST|REQUEST|COOKIE|SERVER)\b/ nocase
    condition:
        $open and $run
}

rule powershell_encoded_command {
    meta:
        severity = "high"
        confidence = 0.8
        description = "starts PowerShell with a command that is encoded, as droppers do"
        remediation = "run it nowhere; decode the command to see what it would do"
        reference = "MITRE ATT&CK T1059.001, T1027.010"
        match_hex = "636d64202f6320706f7765727368656c6c202d4e6f50726f66696c65202d57696e646f775374796c652048696464656e202d456e636f646564436f6d6d616e642053514246414667415351424641466741535142464146674153514246414667415351424641466741535142464146674153514246414667415351424641466741"
        pass_hex = "52756e20706f7765727368656c6c202d46696c65206465706c6f792e70733120746f2073746172743b202d456e636f646564436f6d6d616e642074616b6573204261736536342e"
    strings:
        $command = /\bpowershell(\.exe)?["']?\s[^\r\n]{0,200}[-\/]e(nc|ncodedcommand|c)?\s+["']?[A-Za-z0-9+\/]{40}/ nocase ascii wide
    condition:
        $command
}

rule script_downloads_and_runs {
    meta:
        severity = "high"
        confidence = 0.8
        description = "is a script that fetches a file, saves it and starts it"
        remediation = "run it nowhere; ask the sender what it is for"
        reference = "MITRE ATT&CK T1105"
        match_hex = "5365742068203d204372656174654f626a65637428224d53584d4c322e584d4c4854545022293a20682e4f70656e2022474554222c20752c2046616c73653a205365742073203d204372656174654f626a656374282241444f44422e53747265616d22293a20732e577269746520682e726573706f6e7365426f64793a20732e53617665546f46696c6520703a204372656174654f626a6563742822575363726970742e5368656c6c22292e52756e2070"
        pass_hex = "5365742073203d204372656174654f626a6563742822575363726970742e5368656c6c22293a20732e52756e20226e6f74657061642e65786522"
    strings:
        $fetch = /\b(MSXML2\.(Server)?XMLHTTP|Microsoft\.XMLHTTP|WinHttp\.WinHttpRequest)/ nocase ascii wide
        $stream = "ADODB.Stream" nocase ascii wide
        $save = "SaveToFile" nocase ascii wide
        $shell = /\b(WScript\.Shell|Shell\.Application)\b/ nocase ascii wide
    condition:
        all of them
}

rule program_in_base64 {
    meta:
        severity = "medium"
        confidence = 0.9
        description = "carries a Windows program, written as Base64"
        remediation = "do not decode and start it; ask the sender what it is for"
        reference = "MITRE ATT&CK T1027.009"
        match_hex = "7061796c6f61643a20414531616b414144414141414956526f61584d6763484a765a334a686253426a5957357562335167596d5567636e567549476c7549455250557942746232526c4c673d3d"
        pass_hex = "4d5a90000300000021546869732070726f6772616d2063616e6e6f742062652072756e20696e20444f53206d6f64652e"
    strings:
        $stub = "This program cannot be run in DOS mode" base64 base64wide
    condition:
        $stub
}

rule shortcut_starts_interpreter {
    meta:
        severity = "high"
        confidence = 0.9
        description = "is a Windows shortcut that starts a command interpreter"
        remediation = "do not open it"
        reference = "MITRE ATT&CK T1204.002, T1547.009; [MS-SHLLINK] 2.1"
        match_hex = "4c0000000114020000000000c000000000000046000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000070006f007700650072007300680065006c006c00"
        pass_hex = "4c0000000114020000000000c00000000000004600000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000006e006f0074006500700061006400"
    strings:
        $head = { 4C 00 00 00 01 14 02 00 00 00 00 00 C0 00 00 00 00 00 00 46 }
        $name = /(powershell|cmd\.exe|mshta|wscript|cscript|rundll32|regsvr32)/ nocase ascii wide
    condition:
        $head at 0 and $name
}

rule rtf_equation_object {
    meta:
        category = "active"
        severity = "high"
        confidence = 0.9
        description = "is rich text with an object of the retired Equation Editor inside, whose faults are still attacked"
        remediation = "open it only with software that has no Equation Editor, or ask for a PDF"
        reference = "CVE-2017-11882; [MS-OLEDS] 2.2.4"
        match_hex = "7b5c727466317b5c6f626a6563745c6f626a656d625c6f626a7570646174657b5c2a5c6f626a64617461203031303530303030303230303030303034353731373536313734363936663665326533337d7d7d"
        pass_hex = "7b5c72746631204571756174696f6e2e33206973206465736372696265642062656c6f772e7d"
    strings:
        $data = "\\objdata" nocase
        $class = /4\s*5\s*7\s*1\s*7\s*5\s*6\s*1\s*7\s*4\s*6\s*9\s*6\s*f\s*6\s*e\s*2\s*e\s*3\s*3/ nocase
    condition:
        uint32be(0) == 0x7b5c7274 and $data and $class
}
