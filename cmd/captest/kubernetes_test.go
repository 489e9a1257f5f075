package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/captest/captest/services"
)

// What deploy/kubernetes uses of Kubernetes' types, and no more. A field that is missing here is a mistake in a manifest, or
// wants to be checked first.
type (
	kubeMeta struct {
		Name   string            `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	}
	kubeSelector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	kubeHeader struct {
		APIVersion string   `yaml:"apiVersion"`
		Kind       string   `yaml:"kind"`
		Metadata   kubeMeta `yaml:"metadata"`
	}
	kubeService struct {
		kubeHeader `yaml:",inline"`
		Spec       struct {
			Selector map[string]string `yaml:"selector"`
			Ports    []struct {
				Name       string `yaml:"name"`
				Port       int    `yaml:"port"`
				TargetPort string `yaml:"targetPort"`
			} `yaml:"ports"`
		} `yaml:"spec"`
	}
	kubeVolumeClaim struct {
		kubeHeader `yaml:",inline"`
		Spec       struct {
			AccessModes []string `yaml:"accessModes"`
			Resources   struct {
				Requests map[string]string `yaml:"requests"`
			} `yaml:"resources"`
		} `yaml:"spec"`
	}
	kubePolicy struct {
		kubeHeader `yaml:",inline"`
		Spec       struct {
			PodSelector kubeSelector `yaml:"podSelector"`
			PolicyTypes []string     `yaml:"policyTypes"`
			Ingress     []struct {
				From []struct {
					PodSelector kubeSelector `yaml:"podSelector"`
				} `yaml:"from"`
				Ports []struct {
					Port string `yaml:"port"`
				} `yaml:"ports"`
			} `yaml:"ingress"`
		} `yaml:"spec"`
	}
	kubeDeployment struct {
		kubeHeader `yaml:",inline"`
		Spec       struct {
			Replicas int `yaml:"replicas"`
			Strategy struct {
				Type string `yaml:"type"`
			} `yaml:"strategy"`
			Selector kubeSelector `yaml:"selector"`
			Template struct {
				Metadata kubeMeta `yaml:"metadata"`
				Spec     kubePod  `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	kubePod struct {
		AutomountServiceAccountToken  *bool `yaml:"automountServiceAccountToken"`
		EnableServiceLinks            *bool `yaml:"enableServiceLinks"`
		TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
		SecurityContext               struct {
			RunAsNonRoot        bool              `yaml:"runAsNonRoot"`
			RunAsUser           int               `yaml:"runAsUser"`
			RunAsGroup          int               `yaml:"runAsGroup"`
			FSGroup             int               `yaml:"fsGroup"`
			FSGroupChangePolicy string            `yaml:"fsGroupChangePolicy"`
			SeccompProfile      map[string]string `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		Containers []kubeContainer `yaml:"containers"`
		Volumes    []struct {
			Name  string            `yaml:"name"`
			Claim map[string]string `yaml:"persistentVolumeClaim"`
		} `yaml:"volumes"`
	}
	kubeContainer struct {
		Name  string   `yaml:"name"`
		Image string   `yaml:"image"`
		Args  []string `yaml:"args"`
		Ports []struct {
			Name          string `yaml:"name"`
			ContainerPort int    `yaml:"containerPort"`
		} `yaml:"ports"`
		Env []struct {
			Name  string `yaml:"name"`
			Value string `yaml:"value"`
		} `yaml:"env"`
		EnvFrom []struct {
			SecretRef map[string]string `yaml:"secretRef"`
		} `yaml:"envFrom"`
		Resources struct {
			Requests map[string]string `yaml:"requests"`
			Limits   map[string]string `yaml:"limits"`
		} `yaml:"resources"`
		SecurityContext struct {
			AllowPrivilegeEscalation *bool               `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool                `yaml:"readOnlyRootFilesystem"`
			Capabilities             map[string][]string `yaml:"capabilities"`
		} `yaml:"securityContext"`
		LivenessProbe  kubeProbe `yaml:"livenessProbe"`
		ReadinessProbe kubeProbe `yaml:"readinessProbe"`
		VolumeMounts   []struct {
			Name      string `yaml:"name"`
			MountPath string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	}
	kubeProbe struct {
		HTTPGet struct {
			Path string `yaml:"path"`
			Port string `yaml:"port"`
		} `yaml:"httpGet"`
		PeriodSeconds    int `yaml:"periodSeconds"`
		TimeoutSeconds   int `yaml:"timeoutSeconds"`
		FailureThreshold int `yaml:"failureThreshold"`
	}
	kustomization struct {
		APIVersion string   `yaml:"apiVersion"`
		Kind       string   `yaml:"kind"`
		Namespace  string   `yaml:"namespace"`
		Resources  []string `yaml:"resources"`
		Images     []struct {
			Name    string `yaml:"name"`
			NewName string `yaml:"newName"`
			NewTag  string `yaml:"newTag"`
		} `yaml:"images"`
		Secrets []struct {
			Name string   `yaml:"name"`
			Envs []string `yaml:"envs"`
		} `yaml:"secretGenerator"`
	}
)

// manifests are all objects of the kustomization, by name.
type manifests struct {
	kustomization
	services    map[string]kubeService
	claims      map[string]kubeVolumeClaim
	deployments map[string]kubeDeployment
	policies    map[string]kubePolicy
	namespaces  map[string]kubeHeader
}

func readManifests(t *testing.T) manifests {
	t.Helper()
	m := manifests{
		services: map[string]kubeService{}, claims: map[string]kubeVolumeClaim{}, deployments: map[string]kubeDeployment{},
		policies: map[string]kubePolicy{}, namespaces: map[string]kubeHeader{},
	}
	strictly(t, "kustomization.yaml", readRepository(t, "deploy", "kubernetes", "kustomization.yaml"), &m.kustomization)
	files, err := filepath.Glob(repository("deploy", "kubernetes", "*.yaml"))
	if err != nil || len(files) != len(m.Resources)+1 {
		t.Errorf("the kustomization has %v, the folder %v (%v)", m.Resources, files, err)
	}
	for _, file := range m.Resources {
		for i, doc := range strings.Split(string(readRepository(t, "deploy", "kubernetes", file)), "\n---\n") {
			what, data := fmt.Sprintf("%s, document %d", file, i+1), []byte(doc)
			var h kubeHeader
			if err := yaml.Load(data, &h); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if !dnsName.MatchString(h.Metadata.Name) {
				t.Errorf("%s: %q is not a name for DNS", what, h.Metadata.Name)
			}
			switch kind := h.APIVersion + " " + h.Kind; kind {
			case "v1 Service":
				keep(t, what, data, h, m.services)
			case "v1 PersistentVolumeClaim":
				keep(t, what, data, h, m.claims)
			case "apps/v1 Deployment":
				keep(t, what, data, h, m.deployments)
			case "networking.k8s.io/v1 NetworkPolicy":
				keep(t, what, data, h, m.policies)
			case "v1 Namespace":
				keep(t, what, data, h, m.namespaces)
			default:
				t.Errorf("%s: a %s, which nothing here checks", what, kind)
			}
		}
	}
	return m
}

func keep[T any](t *testing.T, what string, data []byte, h kubeHeader, all map[string]T) {
	t.Helper()
	var v T
	strictly(t, what, data, &v)
	if _, twice := all[h.Metadata.Name]; twice {
		t.Errorf("%s: %s %s a second time", what, h.Kind, h.Metadata.Name)
	}
	all[h.Metadata.Name] = v
}

func TestKubernetes(t *testing.T) {
	t.Parallel()
	m := readManifests(t)
	image := readDockerfile(t)
	names := slices.Sorted(slices.Values(services.Names()))
	for what, have := range map[string][]string{
		"Service": slices.Sorted(maps.Keys(m.services)), "PersistentVolumeClaim": slices.Sorted(maps.Keys(m.claims)), "Deployment": slices.Sorted(maps.Keys(m.deployments)),
	} {
		if !slices.Equal(have, names) {
			t.Errorf("%s: %v, want %v", what, have, names)
		}
	}
	if len(m.Images) != 1 || m.Images[0].NewTag == "" || m.Images[0].NewTag == "latest" {
		t.Errorf("images %+v, want one with a tag of its own", m.Images)
	}
	if ns, ok := m.namespaces[m.Namespace]; !ok || ns.Metadata.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("namespace %s: %+v", m.Namespace, m.namespaces)
	}
	var all []deployed
	for name, d := range m.deployments {
		all = append(all, checkDeployment(t, name, d, m, image))
	}
	checkDeployed(t, all)
	checkPolicies(t, m, all)
	checkExample(t, killBill, "deploy", "kubernetes", "kill-bill.env.example")
}

func checkDeployment(t *testing.T, name string, d kubeDeployment, m manifests, image dockerfile) deployed {
	t.Helper()
	fail := func(format string, args ...any) { t.Helper(); t.Errorf(name+": "+format, args...) }
	pod, labels := d.Spec.Template.Spec, d.Spec.Template.Metadata.Labels
	if d.Spec.Replicas != 1 || d.Spec.Strategy.Type != "Recreate" {
		fail("%d replicas, strategy %s: one process at a time may have the SQLite file", d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	service := m.services[name].Spec
	for what, selector := range map[string]map[string]string{"Deployment": d.Spec.Selector.MatchLabels, "Service": service.Selector} {
		if len(selector) == 0 || !within(selector, labels) {
			fail("%s selects %v, the pod is %v", what, selector, labels)
		}
	}
	isFalse := func(b *bool) bool { return b != nil && !*b }
	s := pod.SecurityContext
	if user := fmt.Sprintf("%d:%d", s.RunAsUser, s.RunAsGroup); user != image.user || !s.RunAsNonRoot || s.FSGroup != s.RunAsGroup ||
		s.SeccompProfile["type"] != "RuntimeDefault" || !isFalse(pod.AutomountServiceAccountToken) || !isFalse(pod.EnableServiceLinks) {
		fail("pod security %+v", s)
	}
	if len(pod.Containers) != 1 || len(pod.Volumes) != 1 || len(service.Ports) != 1 {
		t.Fatalf("%s: %d containers, %d volumes, %d ports, want one each", name, len(pod.Containers), len(pod.Volumes), len(service.Ports))
	}
	c := pod.Containers[0]
	if c.Name != name || len(m.Images) == 0 || c.Image != m.Images[0].Name {
		fail("container %s of image %s", c.Name, c.Image)
	}
	if cs := c.SecurityContext; !isFalse(cs.AllowPrivilegeEscalation) || !cs.ReadOnlyRootFilesystem || !slices.Equal(cs.Capabilities["drop"], []string{"ALL"}) || len(cs.Capabilities) != 1 {
		fail("container security %+v", cs)
	}
	if len(c.VolumeMounts) != 1 || c.VolumeMounts[0].MountPath != image.volume || c.VolumeMounts[0].Name != pod.Volumes[0].Name || pod.Volumes[0].Claim["claimName"] != name {
		fail("mounts %+v of volumes %+v", c.VolumeMounts, pod.Volumes)
	}
	port := service.Ports[0]
	if len(c.Ports) != 1 || c.Ports[0].ContainerPort != port.Port || port.TargetPort != c.Ports[0].Name {
		fail("container ports %+v, service port %+v", c.Ports, port)
	}
	for what, p := range map[string]kubeProbe{"liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		if p.HTTPGet.Port != port.TargetPort || p.PeriodSeconds <= 0 || p.TimeoutSeconds <= 0 || p.FailureThreshold <= 0 {
			fail("%s probe %+v", what, p)
		}
	}
	if live, want := c.LivenessProbe.HTTPGet.Path, "/health"; name != "kill-bill" && live != want {
		fail("liveness probe of %s, want %s, which no dependency can fail", live, want)
	}
	if c.ReadinessProbe.HTTPGet.Path != "/ready" {
		fail("readiness probe of %s", c.ReadinessProbe.HTTPGet.Path)
	}
	checkSecret(t, name, c, m)
	for _, what := range []string{"cpu", "memory"} {
		if c.Resources.Requests[what] == "" || c.Resources.Limits[what] == "" {
			fail("no request or limit for %s: %+v", what, c.Resources)
		}
	}
	if bytesOf(t, c.Resources.Requests["memory"]) > bytesOf(t, c.Resources.Limits["memory"]) {
		fail("requests more memory than it may have")
	}
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	cpus, err := strconv.ParseFloat(c.Resources.Limits["cpu"], 64)
	if err != nil {
		fail("cpu limit: %v", err)
	}
	return deployed{
		service: name, args: c.Args, port: port.Port, grace: time.Duration(pod.TerminationGracePeriodSeconds) * time.Second,
		cpus: cpus, memory: bytesOf(t, c.Resources.Limits["memory"]), env: env,
		probes: []string{c.LivenessProbe.HTTPGet.Path, c.ReadinessProbe.HTTPGet.Path},
	}
}

// checkSecret: the two that need Kill Bill's credentials get them from a secret that exists, and nobody else does.
func checkSecret(t *testing.T, name string, c kubeContainer, m manifests) {
	t.Helper()
	wants := 0
	if name == "kill-bill" || name == "billing" {
		wants = 1
	}
	if len(c.EnvFrom) != wants {
		t.Errorf("%s: %d secrets, want %d", name, len(c.EnvFrom), wants)
	}
	for _, from := range c.EnvFrom {
		exists := false
		for _, s := range m.Secrets {
			exists = exists || s.Name == from.SecretRef["name"] && slices.Equal(s.Envs, []string{"kill-bill.env"})
		}
		if !exists {
			t.Errorf("%s: secret %v is made by nobody", name, from.SecretRef)
		}
	}
	for _, e := range c.Env {
		if slices.Contains(killBill, e.Name) {
			t.Errorf("%s: %s stands in the manifest", name, e.Name)
		}
	}
}

// checkPolicies: nobody may call unless a policy says so, and every downstream call is allowed.
func checkPolicies(t *testing.T, m manifests, all []deployed) {
	t.Helper()
	closed := false
	for _, p := range m.policies {
		closed = closed || len(p.Spec.PodSelector.MatchLabels) == 0 && len(p.Spec.Ingress) == 0 && slices.Equal(p.Spec.PolicyTypes, []string{"Ingress"})
	}
	if !closed {
		t.Error("no policy closes the namespace")
	}
	labels := func(name string) map[string]string { return m.deployments[name].Spec.Template.Metadata.Labels }
	allowed := func(from, to map[string]string) bool {
		for _, p := range m.policies {
			for _, in := range p.Spec.Ingress {
				for _, f := range in.From {
					if within(p.Spec.PodSelector.MatchLabels, to) && len(f.PodSelector.MatchLabels) > 0 && within(f.PodSelector.MatchLabels, from) {
						return true
					}
				}
				for _, port := range in.Ports {
					if port.Port != "http" {
						t.Errorf("policy %s: port %s", p.Metadata.Name, port.Port)
					}
				}
			}
		}
		return false
	}
	for _, d := range all {
		downstream := parseAlone(t, d.args).Downstream
		for _, to := range services.Names() {
			_, calls := downstream[to]
			if got := allowed(labels(d.service), labels(to)); got != calls {
				t.Errorf("%s may call %s: %v, want %v", d.service, to, got, calls)
			}
		}
		if !allowed(map[string]string{"captest-role": "load"}, labels(d.service)) {
			t.Errorf("load may not reach %s", d.service)
		}
	}
}

// within says whether labels have all that a selector asks for.
func within(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}
